//! Microsoft's clouds: which hosts and scopes each has, and which hosts a bearer token may be shown to.
//!
//! Owns the table and the check of addresses; it makes no call.

use std::net::IpAddr;

use reqwest::Url;

use super::settings::{Cloud, Intune, SettingsProblem};

/// Source: Microsoft Graph, national cloud deployments; Entra, national clouds; Intune, US government endpoints.
const fn parts(cloud: Cloud) -> Parts {
    // The Intune resource id itself ends in "/", so its scope has two slashes.
    match cloud {
        Cloud::Global => Parts {
            login: "https://login.microsoftonline.com",
            graph: "https://graph.microsoft.com",
            intune_scope: Some("https://api.manage.microsoft.com//.default"),
            service_domain: "manage.microsoft.com",
        },
        Cloud::GccHigh => Parts {
            login: "https://login.microsoftonline.us",
            graph: "https://graph.microsoft.us",
            intune_scope: Some("https://api.manage.microsoft.us//.default"),
            service_domain: "manage.microsoft.us",
        },
        Cloud::Dod => Parts {
            login: "https://login.microsoftonline.us",
            graph: "https://dod-graph.microsoft.us",
            intune_scope: Some("https://api.manage.microsoft.us//.default"),
            service_domain: "manage.microsoft.us",
        },
        Cloud::China => Parts {
            login: "https://login.partner.microsoftonline.cn",
            graph: "https://microsoftgraph.chinacloudapi.cn",
            intune_scope: None,
            service_domain: "manage.microsoftonline.cn",
        },
    }
}

struct Parts {
    login: &'static str,
    graph: &'static str,
    intune_scope: Option<&'static str>,
    service_domain: &'static str,
}

/// Where one server's calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// Where tokens are issued; also the audience of assertions.
    pub(super) token: Url,
    /// Graph, without path.
    pub(super) graph: Url,
    /// The scope of tokens for Graph.
    pub(super) graph_scope: String,
    /// The scope of tokens for the compliance retrieval service; none where it is not known.
    pub(super) intune_scope: Option<String>,
    /// Discovered services must live under this domain …
    service_domain: &'static str,
    /// … or on the very host of an overridden Graph.
    overridden: bool,
}

impl Endpoints {
    /// The cloud's addresses, each replaced by what the settings name instead.
    ///
    /// # Errors
    /// An address that must not be used, with the key that holds it.
    pub(super) fn resolve(intune: &Intune) -> Result<Self, SettingsProblem> {
        let parts = parts(intune.cloud);
        let token = match &intune.token_url {
            Some(text) => checked("token-url", text)?,
            None => checked("tenant-id", &format!("{}/{}/oauth2/v2.0/token", parts.login, intune.tenant_id))?,
        };
        let graph = checked("graph-url", intune.graph_url.as_deref().unwrap_or(parts.graph))?;
        let last = graph.path().trim_end_matches('/').rsplit('/').next().unwrap_or("");
        if ["v1.0", "beta"].iter().any(|version| last.eq_ignore_ascii_case(version)) {
            let message = format!("ends in /{last}, but the version is added to each call; leave it out");
            return Err(SettingsProblem::error("graph-url", message));
        }
        let graph_scope = match (&intune.graph_scope, &intune.graph_url) {
            (Some(scope), _) => scope.clone(),
            // Tokens of Microsoft name Microsoft's host, also behind an address of our own.
            (None, _) => format!("{}/.default", parts.graph),
        };
        Ok(Self {
            token,
            overridden: intune.graph_url.is_some(),
            graph,
            graph_scope,
            intune_scope: intune.intune_scope.clone().or_else(|| parts.intune_scope.map(str::to_owned)),
            service_domain: parts.service_domain,
        })
    }

    /// Whether the bearer may be sent to a service that discovery named.
    pub(super) fn may_be_service(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        if self.overridden && same_origin(url, &self.graph) {
            return true;
        }
        let under = host
            .len()
            .checked_sub(self.service_domain.len() + 1)
            .and_then(|at| host.get(at..))
            .is_some_and(|tail| tail.strip_prefix('.') == Some(self.service_domain));
        // On the developer's machine the services may live on several ports.
        let local = self.overridden && is_loopback(&self.graph) && is_loopback(url);
        (under && url.scheme() == "https" && url.port().is_none()) || local
    }
}

/// Whether both have scheme, host and port in common.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether `text` can stand in a path: letters, digits, dots, hyphens, underscores.
pub(super) fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && !text.starts_with('.')
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'))
}

/// Parses an address that a token, a secret or a question may be sent to.
pub(super) fn checked(key: &'static str, text: &str) -> Result<Url, SettingsProblem> {
    let url = Url::parse(text).map_err(|_| SettingsProblem::error(key, "is not an address; write https://HOST/…"))?;
    let host = url.host_str().unwrap_or("").to_ascii_lowercase();
    if host == "graph.windows.net" || host.ends_with(".graph.windows.net") {
        return Err(SettingsProblem::error(key, "retired, use https://graph.microsoft.com"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(SettingsProblem::error(key, "must not hold a user, a password or a #; leave them out"));
    }
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(SettingsProblem::error(key, "http:// is allowed to loopback only; use https://")),
        _ => Err(SettingsProblem::error(key, "is not an address; write https://HOST/…")),
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdm::settings::{Credential, SecretText};

    fn intune() -> Intune {
        let secret = Credential::Secret(SecretText::fixed("not-a-real-secret".to_owned().into()));
        Intune::new("11112222-3333-4444-5555-666677778888", "aaaa1111-bb22-cc33-dd44-eeee5555ffff", secret)
    }

    fn service(intune: &Intune, url: &str) -> bool {
        Endpoints::resolve(intune).expect("the settings are right").may_be_service(&Url::parse(url).expect("a URL"))
    }

    /// Trap 6: the resource id itself ends in a slash.
    #[test]
    fn the_scope_of_intune_keeps_its_two_slashes() {
        let endpoints = Endpoints::resolve(&intune()).expect("the defaults are right");
        assert_eq!(endpoints.intune_scope.as_deref(), Some("https://api.manage.microsoft.com//.default"));
        assert_eq!(endpoints.graph_scope, "https://graph.microsoft.com/.default");
        assert_eq!(
            endpoints.token.as_str(),
            "https://login.microsoftonline.com/11112222-3333-4444-5555-666677778888/oauth2/v2.0/token"
        );
    }

    #[test]
    fn every_cloud_resolves_and_has_its_own_hosts() {
        for cloud in Cloud::ALL {
            let endpoints = Endpoints::resolve(&Intune { cloud, ..intune() }).expect("the table is right");
            assert!(endpoints.graph_scope.starts_with(endpoints.graph.as_str().trim_end_matches('/')), "{cloud:?}");
        }
    }

    #[test]
    fn the_retired_directory_graph_is_refused_with_its_successor() {
        let problem = checked("graph-url", "https://graph.windows.net/contoso").expect_err("it is retired");
        assert_eq!(problem.message, "retired, use https://graph.microsoft.com");
    }

    #[test]
    fn a_version_in_the_address_of_graph_is_refused() {
        let resolved = |url: &str| Endpoints::resolve(&Intune { graph_url: Some(url.to_owned()), ..intune() });
        for bad in ["https://graph.microsoft.com/v1.0", "https://graph.microsoft.com/V1.0/", "https://p.example/x/beta"]
        {
            let problem = resolved(bad).expect_err("it names a version");
            assert!(
                problem.key == "graph-url" && problem.message.contains("leave it out"),
                "{bad}: {}",
                problem.message
            );
        }
        for good in ["https://graph.microsoft.com/", "https://p.example/graph/", "https://p.example/v1.0/graph"] {
            assert!(resolved(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn plain_http_goes_to_loopback_only() {
        for good in ["http://127.0.0.1:8443", "http://[::1]:8443/x", "http://localhost:1", "https://proxy.example/x"] {
            assert!(checked("graph-url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://graph.microsoft.com",
            "http://10.0.0.1",
            "ftp://x",
            "graph.microsoft.com",
            "https://u:p@h/",
            "file:///x",
        ] {
            assert!(checked("graph-url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_discovered_service_must_live_in_the_chosen_cloud() {
        let global = intune();
        assert!(service(&global, "https://fef.msud01.manage.microsoft.com/X"));
        for stranger in [
            "https://fef.msud01.manage.microsoft.us/X",
            "https://manage.microsoft.com.evil.example/X",
            "https://evilmanage.microsoft.com/X",
            "http://fef.msud01.manage.microsoft.com/X",
            "https://fef.msud01.manage.microsoft.com:8443/X",
            "http://127.0.0.1:18443/X",
        ] {
            assert!(!service(&global, stranger), "{stranger}");
        }
        let local = Intune { graph_url: Some("http://127.0.0.1:1".to_owned()), ..intune() };
        assert!(service(&local, "http://127.0.0.1:1/X"));
        assert!(service(&local, "http://127.0.0.1:2/X"));
        assert!(!service(&local, "http://10.1.1.1:2/X"));
    }
}
