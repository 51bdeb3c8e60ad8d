//! What is wrong with the settings of a server: values that can't work, or probably don't do what was meant.
//!
//! Owns the sentences and the keys that they name. Where a key stands in a file is `config`'s business.

use crate::{device::identifier::Guid, limits};

use super::{
    cloud::{self, Endpoints},
    settings::{Api, Credential, Intune, Kind, Proxy, Settings, SettingsProblem},
};

impl Settings {
    /// What is wrong with the values, each with the key that an operator would look for.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsProblem> {
        let mut found = Vec::new();
        if self.lookup_timeout.is_zero() || self.lookup_timeout >= limits::DECISION_DEADLINE_MAX {
            found.push(SettingsProblem::error("lookup-timeout", "must be more than 0 s and less than 30 s"));
        }
        if self.ages.stale_for < self.ages.compliance_max_age {
            found.push(SettingsProblem::warning(
                "stale-for",
                "is shorter than compliance-max-age, so no old answer is ever served; raise it, or say \"0s\" on purpose",
            ));
        }
        if let Some(guard) = self.mass_flip_guard
            && (!(1..=100).contains(&guard.share_percent) || guard.window.is_zero() || guard.hold.is_zero())
        {
            found.push(SettingsProblem::error(
                "mass-flip-guard",
                "needs a share of 1 % to 100 %, and a window and a hold above 0 s",
            ));
        }
        if let Kind::Intune(intune) = &self.kind {
            intune.collect_problems(&mut found);
        }
        found
    }
}

impl Intune {
    fn collect_problems(&self, found: &mut Vec<SettingsProblem>) {
        self.check_ids(found);
        match Endpoints::resolve(self) {
            Err(problem) => found.push(problem),
            Ok(endpoints) => {
                if self.lookup.contains(&Api::ComplianceRetrieval) && endpoints.intune_scope.is_none() {
                    found.push(SettingsProblem::warning(
                        "lookup",
                        "the scope of the compliance retrieval service is not published for this cloud, so only graph \
                         is asked; set intune-scope if Microsoft told you, or write lookup = [\"graph\"]",
                    ));
                }
            }
        }
        self.check_lookup(found);
        if self.requests_per_second == 0 {
            found.push(SettingsProblem::error("requests-per-second", "must be at least 1"));
        } else if self.requests_per_second > Self::REQUESTS_PER_SECOND_ALLOWED {
            found.push(SettingsProblem::warning(
                "requests-per-second",
                "is over the 100 (2,000 in 20 s) that Microsoft allows one app in one tenant, and no more is sent; write \
                 100, or less where several servers share the app",
            ));
        }
        if let Some(proxy) = &self.proxy
            && let Err(message) = check_proxy(proxy)
        {
            found.push(SettingsProblem::error("proxy", message));
        }
        if let Credential::Certificate { pairs, .. } = &self.credential
            && (pairs.is_empty() || pairs.len() > limits::CREDENTIALS_MAX)
        {
            found.push(SettingsProblem::error("credential", "needs one certificate, or two while they are exchanged"));
        }
        if let Credential::ManagedIdentity { url: Some(url), .. } = &self.credential
            && let Err(problem) = cloud::checked("credential", url)
        {
            found.push(problem);
        }
        if self.trust.only_anchors && self.trust.anchors.is_empty() {
            found.push(SettingsProblem::error(
                "only-trust-anchors",
                "leaves nothing to trust; name the roots in trust-anchors",
            ));
        }
    }

    /// A managed identity needs neither: Azure knows its tenant, and which one it is.
    fn check_ids(&self, found: &mut Vec<SettingsProblem>) {
        let is_managed = matches!(self.credential, Credential::ManagedIdentity { .. });
        let may_lack = |id: &str| is_managed && id.is_empty();
        let is_tenant = cloud::is_plain_name(&self.tenant_id) && !self.tenant_id.eq_ignore_ascii_case("common");
        if !is_tenant && !may_lack(&self.tenant_id) {
            found.push(SettingsProblem::error("tenant-id", "is not a tenant; write its id or one of its domains"));
        }
        if Guid::parse(self.client_id.as_bytes()).is_none() && !may_lack(&self.client_id) {
            found.push(SettingsProblem::error(
                "client-id",
                "is not a GUID; copy \"Application (client) ID\" from the app registration",
            ));
        }
    }

    fn check_lookup(&self, found: &mut Vec<SettingsProblem>) {
        if self.lookup.is_empty() {
            found.push(SettingsProblem::error("lookup", "names no API; write [\"graph\", \"compliance-retrieval\"]"));
        }
        if self.lookup.iter().enumerate().any(|(at, api)| self.lookup.iter().take(at).any(|before| before == api)) {
            found.push(SettingsProblem::error("lookup", "names an API twice; leave one out"));
        }
    }
}

fn check_proxy(proxy: &Proxy) -> Result<(), String> {
    let wrong = || "is not a proxy; write http://HOST:PORT".to_owned();
    let url = reqwest::Url::parse(proxy.url()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdm::settings::{Cloud, SecretText, Trust};

    fn intune() -> Intune {
        let secret = Credential::Secret(SecretText::fixed("a-text-nobody-may-print".to_owned().into()));
        Intune::new("11112222-3333-4444-5555-666677778888", "aaaa1111-bb22-cc33-dd44-eeee5555ffff", secret)
    }

    fn keys(intune: Intune) -> Vec<&'static str> {
        Settings::new("corp", Kind::Intune(Box::new(intune))).problems().iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(keys(intune()), Vec::<&str>::new());
    }

    #[test]
    fn every_wrong_value_is_named_by_its_key() {
        assert_eq!(keys(Intune { tenant_id: "common".into(), ..intune() }), ["tenant-id"]);
        assert_eq!(keys(Intune { client_id: "radmit".into(), ..intune() }), ["client-id"]);
        assert_eq!(keys(Intune { graph_url: Some("https://graph.windows.net/x".into()), ..intune() }), ["graph-url"]);
        assert_eq!(keys(Intune { token_url: Some("http://login.example/x".into()), ..intune() }), ["token-url"]);
        assert_eq!(keys(Intune { lookup: vec![], ..intune() }), ["lookup"]);
        assert_eq!(keys(Intune { requests_per_second: 0, ..intune() }), ["requests-per-second"]);
        assert_eq!(keys(Intune { requests_per_second: 101, ..intune() }), ["requests-per-second"]);
        assert_eq!(keys(Intune { proxy: Some(Proxy::new("proxy:3128x")), ..intune() }), ["proxy"]);
        assert_eq!(
            keys(Intune { trust: Trust { only_anchors: true, ..Trust::default() }, ..intune() }),
            ["only-trust-anchors"]
        );
    }

    #[test]
    fn a_managed_identity_needs_no_ids_but_wrong_ones_are_told() {
        let managed = |tenant: &str, client: &str| {
            Intune::new(tenant, client, Credential::ManagedIdentity { url: None, client_id: None })
        };
        assert_eq!(keys(managed("", "")), Vec::<&str>::new());
        assert_eq!(keys(managed("common", "radmit")), ["tenant-id", "client-id"]);
        assert_eq!(
            keys(Intune { tenant_id: String::new(), client_id: String::new(), ..intune() }),
            ["tenant-id", "client-id"]
        );
    }

    #[test]
    fn a_cloud_without_a_known_scope_asks_graph_alone() {
        let china = Intune { cloud: Cloud::China, ..intune() };
        assert_eq!(keys(china.clone()), ["lookup"]);
        assert!(!Settings::new("corp", Kind::Intune(Box::new(china))).mac_can_be_asked());
    }

    #[test]
    fn secrets_and_proxy_passwords_are_not_printed() {
        let settings = Intune { proxy: Some(Proxy::new("http://user:pass@proxy.example:3128")), ..intune() };
        let printed = format!("{settings:?}");
        assert!(printed.contains("proxy.example:3128"));
        assert!(!printed.contains("pass@") && !printed.contains("nobody-may-print"), "{printed}");
    }
}
