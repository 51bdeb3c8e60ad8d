//! The token endpoint: proofs, audiences and refusals.

use radmit::sim::EXAMPLE_TENANT;

use super::*;

async fn with_assertion(world: &World, assertion: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", GRAPH_SCOPE),
    ];
    read(world.ask_for_token(&form).await).await
}

async fn refusal_of(world: &World, changes: &[(&str, &str)]) -> (u16, String, u64) {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT),
        ("client_secret", SECRET),
        ("scope", GRAPH_SCOPE),
    ];
    for (name, value) in changes {
        form.retain(|(key, _)| key != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    told(read(world.ask_for_token(&form).await).await)
}

fn told((status, body): (StatusCode, Value)) -> (u16, String, u64) {
    let number = body["error_codes"][0].as_u64().expect("a refusal has a number");
    let description = body["error_description"].as_str().expect("a refusal has a description");
    assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
    (status.as_u16(), body["error"].as_str().expect("a refusal has a name").to_owned(), number)
}

#[tokio::test]
async fn a_secret_gets_a_token_and_each_one_is_new() {
    let world = World::demo().await;
    let first = world.token(GRAPH_SCOPE).await;
    let second = world.token(GRAPH_SCOPE).await;
    assert_ne!(first, second);
    assert_eq!(world.cloud().statistics().tokens_issued, 2);
}

#[tokio::test]
async fn an_assertion_of_either_algorithm_gets_a_token() {
    let world = World::demo().await;
    for assertion in [Assertion::new(&world), Assertion::as_ise_sends_it(&world)] {
        let (status, body) = with_assertion(&world, &assertion.signed(&application().key)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(3599)));
    }
}

#[tokio::test]
async fn an_assertion_that_breaks_a_rule_is_refused_with_the_number_of_that_rule() {
    let world = World::demo().await;
    let now = clock::now().wall.as_secs();
    let changed = |name: &str, value: Value| {
        let mut assertion = Assertion::new(&world);
        assertion.claims[name] = value;
        assertion.signed(&application().key)
    };
    let mut without_thumbprint = Assertion::new(&world);
    without_thumbprint.header = json!({ "alg": "PS256" });
    let mut of_another_certificate = Assertion::new(&world);
    of_another_certificate.header["x5t#S256"] = base64url(&[7; 32]).into();
    let mut unsigned = Assertion::new(&world);
    unsigned.header["alg"] = "none".into();
    for (assertion, number) in [
        ("not a token".to_owned(), 50027),
        (unsigned.signed(&application().key), 50027),
        (without_thumbprint.signed(&application().key), 50027),
        (of_another_certificate.signed(&application().key), 700_027),
        (Assertion::new(&world).signed(&new_application().key), 700_027),
        (changed("aud", "https://login.microsoftonline.com/x/oauth2/v2.0/token".into()), 50027),
        (changed("sub", "somebody".into()), 50048),
        (changed("exp", (now - 3600).into()), 500_133),
        (changed("nbf", (now + 3600).into()), 500_133),
    ] {
        let refusal = told(with_assertion(&world, &assertion).await);
        assert_eq!(refusal, (401, "invalid_client".to_owned(), number));
    }
}

#[tokio::test]
async fn the_thumbprint_of_an_unknown_key_is_named() {
    let world = World::demo().await;
    let mut assertion = Assertion::new(&world);
    assertion.header["x5t#S256"] = base64url(&[0xab; 32]).into();
    let (_, body) = with_assertion(&world, &assertion.signed(&application().key)).await;
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains("The key was not found."), "{description}");
    assert!(description.contains(&"AB".repeat(32)), "{description}");
}

#[tokio::test]
async fn every_wrong_field_has_its_own_refusal() {
    let world = World::demo().await;
    for (changes, expected) in [
        (&[("client_secret", "wrong")][..], (401, "invalid_client", 7_000_215)),
        (&[("client_secret", "")], (401, "invalid_client", 7_000_218)),
        (&[("client_id", "bbbb1111-bb22-cc33-dd44-eeee5555ffff")], (400, "unauthorized_client", 700_016)),
        (&[("client_id", "")], (400, "invalid_request", 900_144)),
        (&[("grant_type", "password")], (400, "unsupported_grant_type", 70003)),
        (&[("scope", "")], (400, "invalid_request", 900_144)),
        (&[("scope", "https://graph.microsoft.com/Device.Read.All")], (400, "invalid_scope", 70011)),
        (
            &[("scope", "https://graph.microsoft.com/.default https://api.manage.microsoft.com//.default")],
            (400, "invalid_scope", 70011),
        ),
        (&[("scope", "https://graph.windows.net/.default")], (400, "invalid_resource", 500_011)),
    ] {
        let (status, error, number) = expected;
        assert_eq!(refusal_of(&world, changes).await, (status, error.to_owned(), number), "{changes:?}");
    }
}

#[tokio::test]
async fn another_tenant_is_not_found() {
    let world = World::demo().await;
    let url = world.sim.token_url().replace(EXAMPLE_TENANT, "22222222-3333-4444-5555-666677778888");
    let answer = world.client.post(url).form(&[("client_id", EXAMPLE_CLIENT)]).send().await.unwrap();
    assert_eq!(told(read(answer).await), (400, "invalid_request".to_owned(), 90002));
}

#[tokio::test]
async fn the_scopes_that_ise_adds_do_no_harm() {
    let world = World::demo().await;
    let token = world.token("openid https://api.manage.microsoft.com//.default profile offline_access").await;
    assert!(!token.is_empty());
}

#[tokio::test]
async fn version_1_takes_a_resource_and_writes_numbers_as_texts() {
    let world = World::demo().await;
    let url = world.sim.token_url().replace("/v2.0", "");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT),
        ("client_secret", SECRET),
        ("resource", "https://api.manage.microsoft.com/"),
    ];
    let (status, body) = read(world.client.post(url).form(&form).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["expires_in"], "3599");
    assert!(body["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > clock::now().wall.as_secs());
}

#[tokio::test]
async fn basic_authentication_carries_the_secret_too() {
    let world = World::demo().await;
    let form = [("grant_type", "client_credentials"), ("scope", GRAPH_SCOPE)];
    let secret = SECRET.replace(' ', "%20");
    let request = world.client.post(world.sim.token_url()).basic_auth(EXAMPLE_CLIENT, Some(secret)).form(&form);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_managed_identity_needs_its_header() {
    let world = World::demo().await;
    let url = world.url("/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com");
    let refused = world.client.get(&url).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let (status, body) = read(world.client.get(&url).header("Metadata", "true").send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((body["expires_in"].as_str(), body["refresh_token"].as_str()), (Some("3599"), Some("")));
}

#[tokio::test]
async fn a_federated_token_is_a_proof_by_its_text() {
    let credentials = Credentials { federated_tokens: vec!["federated".to_owned()], ..Credentials::default() };
    let sim = Sim::start(Settings { credentials, ..Settings::loopback(Fleet::demo()) }).await.unwrap();
    let world = World { client: client(&sim.ca_pem), sim };
    assert_eq!(with_assertion(&world, "federated").await.0, StatusCode::OK);
    assert_eq!(with_assertion(&world, "another").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_opens_only_the_service_that_it_is_for() {
    let world = World::demo().await;
    let graph = world.token(GRAPH_SCOPE).await;
    let intune = world.token(INTUNE_SCOPE).await;
    let one_slash = world.token("https://api.manage.microsoft.com/.default").await;
    let base = world.discovered().await.unwrap();
    let retrieval = base.strip_prefix(&world.sim.base_url).unwrap().to_owned() + "/ciscoise/mdminfo/?ise_api_version=3";
    let list = "/v1.0/deviceManagement/managedDevices";
    for (path, token, expected) in [
        (list, &graph, 200),
        (list, &intune, 401),
        (&retrieval, &intune, 200),
        (&retrieval, &graph, 401),
        (&retrieval, &one_slash, 401),
        (list, &"made.up".to_owned(), 401),
    ] {
        assert_eq!(world.get(path, token).send().await.unwrap().status().as_u16(), expected, "{path}");
    }
    assert_eq!(world.client.get(world.url(list)).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_ends_with_its_lifetime_and_when_it_is_expired_by_hand() {
    let world = World::demo().await;
    let token = world.token(GRAPH_SCOPE).await;
    let status = async || {
        let (status, body) =
            read(world.get("/v1.0/deviceManagement/managedDevices", &token).send().await.unwrap()).await;
        (status.as_u16(), body["error"]["code"].as_str().map(str::to_owned))
    };
    assert_eq!(status().await, (200, None));
    world.cloud().advance(std::time::Duration::from_secs(3600));
    assert_eq!(status().await, (401, Some("InvalidAuthenticationToken".to_owned())));
    let token = world.token(GRAPH_SCOPE).await;
    world.cloud().expire_tokens();
    let answer = world.get("/v1.0/deviceManagement/managedDevices", &token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}
