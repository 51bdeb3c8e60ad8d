//! Claims about the simulated cloud, made over real HTTPS with a client that trusts its throw-away CA.

mod control;
mod faults;
mod graph;
mod retrieval;
mod token;

use std::sync::OnceLock;

use aws_lc_rs::{digest, rand::SystemRandom, rsa, signature};
use radmit::{
    clock,
    sim::{Cloud, Credentials, EXAMPLE_CLIENT, Fleet, Settings, Sim},
};
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the simulated application";
const LT_0042: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
const LT_0043: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02";
const LT_0042_ENTRA: &str = "c0ffee00-1234-4abc-8def-001122334455";
const NOBODY: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9dffff";
const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
const INTUNE_SCOPE: &str = "https://api.manage.microsoft.com//.default";

/// A running cloud and a client of it.
struct World {
    sim: Sim,
    client: reqwest::Client,
}

impl World {
    async fn demo() -> Self {
        Self::of(Fleet::demo()).await
    }

    async fn of(fleet: Fleet) -> Self {
        let credentials =
            Credentials { certificates: vec![application().certificate.clone()], ..Credentials::secret(SECRET) };
        let sim = Sim::start(Settings { credentials, ..Settings::loopback(fleet) }).await.expect("the cloud starts");
        let client = client(&sim.ca_pem);
        Self { sim, client }
    }

    fn cloud(&self) -> &Cloud {
        self.sim.cloud()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.base_url)
    }

    async fn token(&self, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", EXAMPLE_CLIENT),
            ("client_secret", SECRET),
            ("scope", scope),
        ];
        let body: Value = self.ask_for_token(&form).await.json().await.expect("a token is JSON");
        body["access_token"].as_str().expect("a token is issued").to_owned()
    }

    async fn ask_for_token(&self, form: &[(&str, &str)]) -> Response {
        self.client.post(self.sim.token_url()).form(form).send().await.expect("the token endpoint answers")
    }

    fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(token)
    }

    async fn graph(&self, path: &str) -> (StatusCode, Value) {
        let token = self.token(GRAPH_SCOPE).await;
        let answer = self.get(&format!("/v1.0/deviceManagement/managedDevices{path}"), &token).send().await;
        read(answer.expect("Graph answers")).await
    }

    async fn retrieval(&self, path_and_query: &str) -> (StatusCode, String) {
        let token = self.token(INTUNE_SCOPE).await;
        let base = self.discovered().await.expect("the service is listed");
        let answer = self.client.get(format!("{base}{path_and_query}")).bearer_auth(token).send().await;
        let answer = answer.expect("the service answers");
        (answer.status(), answer.text().await.expect("a body"))
    }

    /// The address of the compliance retrieval service, as discovery names it.
    async fn discovered(&self) -> Option<String> {
        let token = self.token(GRAPH_SCOPE).await;
        let path = "//v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints";
        let (status, body) = read(self.get(path, &token).send().await.expect("discovery answers")).await;
        assert_eq!(status, StatusCode::OK);
        let services = body["value"].as_array().expect("services are a list");
        let service = services.iter().find(|service| {
            service["providerName"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("ComplianceRetrievalService"))
        });
        Some(service?["uri"].as_str()?.to_owned())
    }

    async fn control(
        &self,
        method: reqwest::Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, String) {
        let answer = self.client.request(method, self.url(&format!("/_sim{path}"))).body(body).send().await;
        let answer = answer.expect("the control path answers");
        (answer.status(), answer.text().await.expect("a body"))
    }
}

fn client(ca_pem: &str) -> reqwest::Client {
    trusting(ca_pem).build().expect("a client is built")
}

fn client_of_http_1(ca_pem: &str) -> reqwest::Client {
    trusting(ca_pem).http1_only().build().expect("a client is built")
}

fn trusting(ca_pem: &str) -> reqwest::ClientBuilder {
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).expect("the CA is PEM");
    reqwest::Client::builder().tls_certs_only([ca]).no_proxy().redirect(redirect::Policy::none())
}

async fn read(answer: Response) -> (StatusCode, Value) {
    (answer.status(), answer.json().await.expect("the body is JSON"))
}

/// The application's certificate and its key.
struct Application {
    certificate: Vec<u8>,
    key: rsa::KeyPair,
}

/// Made once for all tests: RSA keys take a while.
fn application() -> &'static Application {
    static APPLICATION: OnceLock<Application> = OnceLock::new();
    APPLICATION.get_or_init(new_application)
}

fn new_application() -> Application {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("an RSA key");
    let parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names are valid names");
    let certificate = parameters.self_signed(&key).expect("a certificate").der().to_vec();
    let key = rsa::KeyPair::from_pkcs8(&key.serialize_der()).expect("the key reads back");
    Application { certificate, key }
}

/// The parts of an assertion, to be changed before it is signed.
struct Assertion {
    header: Value,
    claims: Value,
}

impl Assertion {
    fn new(world: &World) -> Self {
        let thumbprint = digest::digest(&digest::SHA256, &application().certificate);
        let now = clock::now().wall.as_secs();
        Self {
            header: json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": base64url(thumbprint.as_ref()) }),
            claims: json!({
                "aud": world.sim.token_url(), "iss": EXAMPLE_CLIENT, "sub": EXAMPLE_CLIENT,
                "jti": "1", "nbf": now, "iat": now, "exp": now + 300,
            }),
        }
    }

    /// As Cisco ISE sends it: RS256, the SHA-1 thumbprint with padding, and the v1 address.
    fn as_ise_sends_it(world: &World) -> Self {
        let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &application().certificate);
        let mut assertion = Self::new(world);
        assertion.header =
            json!({ "alg": "RS256", "typ": "JWT", "x5t": format!("{}=", base64url(thumbprint.as_ref())) });
        assertion.claims["aud"] = world.sim.token_url().replace("/v2.0", "").into();
        assertion.claims.as_object_mut().expect("claims are an object").remove("nbf");
        assertion
    }

    fn signed(&self, key: &rsa::KeyPair) -> String {
        let text = |part: &Value| base64url(part.to_string().as_bytes());
        let signed = format!("{}.{}", text(&self.header), text(&self.claims));
        let mut signature = vec![0; key.public_modulus_len()];
        let algorithm: &'static dyn signature::RsaEncoding =
            if self.header["alg"] == "PS256" { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
        key.sign(algorithm, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("the key signs");
        format!("{signed}.{}", base64url(&signature))
    }
}

fn base64url(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0u32, |bits, octet| bits << 8 | u32::from(*octet));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}
