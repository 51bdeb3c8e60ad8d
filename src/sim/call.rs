//! One HTTP request as the simulated cloud sees it, and which part of the cloud it is for.
//!
//! Owns paths, queries and forms. It answers nothing.

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, header},
};

use super::surface::Surface;

/// A request, read completely. Not `Debug`: it holds tokens and secrets.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// With percent signs decoded.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    /// The host and port that the caller believes to speak to.
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// `target`: path and query as they were sent.
    pub(super) fn new(method: Method, target: &str, host: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method, path: decode(path, false), query: pairs(query), host: host.to_owned(), headers, body }
    }

    /// The value of `name` in the query; of several the first.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer …`.
    pub(super) fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The fields of a form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        std::str::from_utf8(&self.body).map(pairs).unwrap_or_default()
    }

    /// `https://` and the host that the caller used.
    pub(super) fn base(&self) -> String {
        format!("https://{}", self.host)
    }

    /// Where the request goes.
    pub(super) fn route(&self) -> Option<Route> {
        // Cisco ISE writes two slashes before the version, and the real Graph does not mind.
        let path = self.path.strip_prefix('/')?.trim_start_matches('/');
        let of_all = self.parameter("querycriteria") == Some("compliance");
        if let Some(route) = token_route(path).or_else(|| retrieval_route(path, of_all)) {
            return Some(route);
        }
        if path == "metadata/identity/oauth2/token" {
            return Some(Route::ManagedIdentity);
        }
        let (version, rest) = path.split_once('/')?;
        if version != "v1.0" && version != "beta" {
            return None;
        }
        self.graph_route(rest.strip_prefix("myorganization/").unwrap_or(rest))
    }

    fn graph_route(&self, path: &str) -> Option<Route> {
        if path == "$batch" {
            return Some(Route::Batch);
        }
        if path == format!("servicePrincipals/appId={INTUNE_APPLICATION}/endpoints")
            || path == format!("servicePrincipals(appId='{INTUNE_APPLICATION}')/endpoints")
        {
            return Some(Route::Discovery);
        }
        let rest = path.strip_prefix("deviceManagement/managedDevices")?;
        if rest.is_empty() || rest == "/" {
            let by_key = self.parameter("$filter").is_some_and(|filter| filter.contains(" eq "));
            return Some(Route::Devices { by_key });
        }
        let in_parentheses = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let id = match in_parentheses {
            Some(id) => id.strip_prefix('\'').and_then(|id| id.strip_suffix('\'')).unwrap_or(id),
            None => rest.strip_prefix('/').filter(|id| !id.contains('/'))?,
        };
        Some(Route::Device { id: id.to_owned() })
    }
}

/// The application whose service principal lists the services of Intune.
/// Source: Microsoft, Intune-Resource-Access, `IntuneServiceLocationProvider`.
pub(super) const INTUNE_APPLICATION: &str = "0000000a-0000-0000-c000-000000000000";

/// The path of the compliance retrieval service on its host.
pub(super) const RETRIEVAL_PATH: &str =
    "TrafficGateway/TrafficRoutingService/ResourceAccess/ComplianceRetrievalService";

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Token { tenant: String, version: u8 },
    ManagedIdentity,
    Discovery,
    Device { id: String },
    Devices { by_key: bool },
    Batch,
    ServiceDetails { unit: u32 },
    Compliance { unit: u32, of_all: bool },
}

impl Route {
    pub(super) const fn surface(&self) -> Surface {
        match self {
            Self::Token { .. } => Surface::Token,
            Self::ManagedIdentity => Surface::ManagedIdentity,
            Self::Discovery => Surface::Discovery,
            Self::Device { .. } => Surface::Device,
            Self::Devices { by_key: true } => Surface::Search,
            Self::Devices { by_key: false } => Surface::List,
            Self::Batch => Surface::Batch,
            Self::ServiceDetails { .. } => Surface::ServiceDetails,
            Self::Compliance { of_all: false, .. } => Surface::Compliance,
            Self::Compliance { of_all: true, .. } => Surface::ComplianceList,
        }
    }

    /// The scale unit that a compliance retrieval request was sent to.
    pub(super) const fn unit(&self) -> Option<u32> {
        match self {
            Self::ServiceDetails { unit } | Self::Compliance { unit, .. } => Some(*unit),
            _ => None,
        }
    }
}

fn token_route(path: &str) -> Option<Route> {
    let (tenant, rest) = path.split_once('/')?;
    let version = match rest {
        "oauth2/token" => 1,
        "oauth2/v2.0/token" => 2,
        _ => return None,
    };
    Some(Route::Token { tenant: tenant.to_owned(), version })
}

fn retrieval_route(path: &str, of_all: bool) -> Option<Route> {
    let (unit, path) = match path.strip_prefix("unit-").and_then(|rest| rest.split_once('/')) {
        Some((unit, rest)) => (unit.parse().ok()?, rest),
        None => (FIRST_UNIT, path),
    };
    match path.strip_prefix(RETRIEVAL_PATH)?.trim_end_matches('/') {
        "/ciscoise/mdminfo" => Some(Route::ServiceDetails { unit }),
        "/cisco/devices" => Some(Route::Compliance { unit, of_all }),
        _ => None,
    }
}

/// The scale unit that a tenant starts in; it has no number in its path, as in the published examples.
pub(super) const FIRST_UNIT: u32 = 1;

/// The address of the compliance retrieval service in scale unit `unit`, without a slash at its end.
pub(super) fn retrieval_base(base: &str, unit: u32) -> String {
    if unit == FIRST_UNIT { format!("{base}/{RETRIEVAL_PATH}") } else { format!("{base}/unit-{unit}/{RETRIEVAL_PATH}") }
}

/// The pairs of a query or of a form.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        })
        .collect()
}

/// Decodes percent signs, and in queries and forms the plus. What is no UTF-8 becomes replacement characters.
fn decode(text: &str, plus_is_space: bool) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.split_at_checked(2).and_then(|(digits, after)| {
            let octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((octet, after))
        });
        match (first, digits) {
            (b'%', Some((octet, after))) => {
                octets.push(octet);
                rest = after;
            }
            (b'+', _) if plus_is_space => octets.push(b' '),
            (octet, _) => octets.push(*octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(target: &str) -> Option<Route> {
        Call::new(Method::GET, target, "127.0.0.1:1", HeaderMap::new(), Bytes::new()).route()
    }

    #[test]
    fn every_spelling_of_a_path_finds_its_part() {
        let device = Some(Route::Device { id: "abc".to_owned() });
        for target in [
            "/v1.0/deviceManagement/managedDevices/abc",
            "/beta/deviceManagement/managedDevices/abc?$select=id",
            "/v1.0/deviceManagement/managedDevices('abc')",
            "/v1.0/deviceManagement/managedDevices(%27abc%27)",
            "/v1.0/deviceManagement/managedDevices(abc)",
        ] {
            assert_eq!(route(target), device, "{target}");
        }
        for target in [
            "//v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints",
            "/v1.0/servicePrincipals/appId%3D0000000a-0000-0000-c000-000000000000/endpoints",
            "/v1.0/myorganization/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints",
        ] {
            assert_eq!(route(target), Some(Route::Discovery), "{target}");
        }
        let search = "/v1.0/deviceManagement/managedDevices?$filter=azureADDeviceId%20eq%20'x'";
        assert_eq!(route(search), Some(Route::Devices { by_key: true }));
        assert_eq!(route("/v1.0/deviceManagement/managedDevices?$top=9"), Some(Route::Devices { by_key: false }));
        assert_eq!(route("/t/oauth2/v2.0/token"), Some(Route::Token { tenant: "t".to_owned(), version: 2 }));
        assert_eq!(route(&format!("/{RETRIEVAL_PATH}/ciscoise/mdminfo/?x=1")), Some(Route::ServiceDetails { unit: 1 }));
        assert_eq!(
            route(&format!("/unit-3/{RETRIEVAL_PATH}/cisco/devices/")),
            Some(Route::Compliance { unit: 3, of_all: false })
        );
    }

    #[test]
    fn what_is_no_part_of_the_cloud_has_no_route() {
        for target in
            ["/", "/v2.0/deviceManagement/managedDevices", "/v1.0/users", "/v1.0/deviceManagement/managedDevices/a/b"]
        {
            assert_eq!(route(target), None, "{target}");
        }
    }

    #[test]
    fn broken_percent_signs_stay_as_they_are() {
        assert_eq!(
            pairs("a=%zz&b=%4&c=%41+x&&d"),
            [
                ("a".to_owned(), "%zz".to_owned()),
                ("b".to_owned(), "%4".to_owned()),
                ("c".to_owned(), "A x".to_owned()),
                ("d".to_owned(), String::new()),
            ]
        );
    }
}
