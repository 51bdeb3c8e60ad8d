//! The control path, and how a cloud starts.

use std::net::SocketAddr;

use radmit::sim::{FaultKind, StartError, Surface, TlsSource};
use reqwest::Method;

use super::*;

async fn json_of(world: &World, method: Method, path: &str, body: &'static str) -> Value {
    let (status, text) = world.control(method, path, body).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).expect("the control path speaks JSON")
}

#[tokio::test]
async fn a_fault_is_switched_on_seen_and_switched_off() {
    let world = World::demo().await;
    let on = r#"{"surface": "graph", "fault": "status", "status": 504, "times": 2, "delay": "1s"}"#;
    let shown = json_of(&world, Method::POST, "/faults", on).await;
    assert_eq!((shown["status"].as_u64(), shown["times"].as_u64()), (Some(504), Some(2)));
    assert_eq!(world.graph(&format!("/{LT_0042}")).await.0, StatusCode::GATEWAY_TIMEOUT);
    let all = json_of(&world, Method::GET, "/faults", "").await;
    assert_eq!(all["active"][0]["times"], 1);
    assert_eq!(all["known"].as_array().unwrap().len(), FaultKind::ALL.len());
    let after = json_of(&world, Method::DELETE, "/faults?surface=graph", "").await;
    assert_eq!(after["active"], json!([]));
    assert_eq!(world.graph(&format!("/{LT_0042}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn every_fault_of_the_table_can_be_switched_on_by_its_name() {
    let world = World::demo().await;
    for kind in FaultKind::ALL {
        let body = json!({ "surface": "all", "fault": kind.name() }).to_string();
        let (status, text) = world.control(Method::POST, "/faults", body).await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }
    assert_eq!(world.cloud().faults().len(), FaultKind::ALL.len());
}

#[tokio::test]
async fn a_slip_of_the_pen_is_answered_with_advice() {
    let world = World::demo().await;
    for (path, body, advice) in [
        ("/faults", r#"{"surface": "grpah", "fault": "status"}"#, "did you mean \"graph\"?"),
        ("/faults", r#"{"surface": "graph", "fault": "stauts"}"#, "did you mean \"status\"?"),
        ("/faults", r#"{"surface": "token", "fault": "old-xml"}"#, "\"token\" has no fault \"old-xml\""),
        ("/faults", r#"{"surface": "graph", "fault": "delay", "delay": "5"}"#, "write a number and a unit"),
        ("/faults", r#"{"surface": "graph", "fault": "status", "status": 42}"#, "42 is no HTTP status"),
        ("/faults", r#"{"surface": "graph", "fault": "status", "time": 1}"#, "unknown field `time`"),
        ("/scale-unit", r#"{"old": "gone"}"#, "\"not-found\" or \"silent\""),
        ("/devices", "version = 1\n[[device]]\nname = 1\n", "devices.toml:3:8: "),
        ("/time", "", "EOF"),
    ] {
        let (status, text) = world.control(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
        assert!(text.contains(advice), "{text}");
    }
    assert_eq!(world.control(Method::GET, "/nothing", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_device_is_seen_changed_added_and_removed() {
    let world = World::demo().await;
    let path = format!("/devices/{LT_0042}");
    assert_eq!(json_of(&world, Method::GET, &path, "").await["compliance"], "compliant");
    let changed =
        json_of(&world, Method::PATCH, &path, r#"{"compliance": "in-grace-period", "wifi-mac": "A4-C3-F0-77-77-77"}"#)
            .await;
    assert_eq!(changed["wifi-mac"], "A4-C3-F0-77-77-77");
    let (_, seen) = world.graph(&format!("/{LT_0042}")).await;
    assert_eq!((&seen["complianceState"], &seen["wiFiMacAddress"]), (&json!("inGracePeriod"), &json!("A4C3F0777777")));

    let file =
        format!("version = 1\n[[device]]\nname = \"NEW\"\nintune-id = \"{NOBODY}\"\ncompliance = \"compliant\"\n");
    assert_eq!(world.control(Method::POST, "/devices", file).await, (StatusCode::OK, r#"{"added":1}"#.to_owned()));
    assert_eq!(world.graph(&format!("/{NOBODY}")).await.1["deviceName"], "NEW");
    assert_eq!(world.control(Method::DELETE, &format!("/devices/{NOBODY}"), "").await.0, StatusCode::OK);
    assert_eq!(world.graph(&format!("/{NOBODY}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.control(Method::DELETE, &format!("/devices/{NOBODY}"), "").await.0, StatusCode::NOT_FOUND);
    let (status, text) = world.control(Method::PATCH, &path, r#"{"compliance": "complaint"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("in-grace-period"), "{text}");
}

#[tokio::test]
async fn a_share_of_all_devices_flips_at_once() {
    let world = World::of(Fleet::generated(1_000, 3)).await;
    let flipped = json_of(&world, Method::POST, "/flip", r#"{"percent": 30, "compliance": "error"}"#).await;
    let (_, list) = world.graph("?$select=complianceState").await;
    let errors = list["value"].as_array().unwrap().iter().filter(|row| row["complianceState"] == "error").count();
    assert!((250..350).contains(&errors), "{errors}");
    assert!(flipped["changed"].as_u64().unwrap() <= errors as u64);
}

#[tokio::test]
async fn tokens_limits_time_and_place_are_switched_over_http_too() {
    let world = World::demo().await;
    json_of(&world, Method::POST, "/tokens", r#"{"lifetime": "30s"}"#).await;
    let token = world.token(GRAPH_SCOPE).await;
    let status = async |token: &str| {
        let answer =
            world.get(&format!("/v1.0/deviceManagement/managedDevices/{LT_0042}"), token).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(status(&token).await, 200);
    json_of(&world, Method::POST, "/time", r#"{"advance": "30s"}"#).await;
    assert_eq!(status(&token).await, 401);
    let token = world.token(GRAPH_SCOPE).await;
    json_of(&world, Method::POST, "/limit", r#"{"requests": 2}"#).await;
    // The refused request is still in the window.
    assert_eq!((status(&token).await, status(&token).await), (200, 429));
    json_of(&world, Method::POST, "/limit", "{}").await;
    json_of(&world, Method::POST, "/tokens", r#"{"expire": true}"#).await;
    assert_eq!(status(&token).await, 401);
    let before = world.discovered().await;
    json_of(&world, Method::POST, "/scale-unit", r#"{"old": "silent"}"#).await;
    assert_ne!(world.discovered().await, before);
}

#[tokio::test]
async fn a_wrong_clock_shows_in_the_date_and_refuses_assertions() {
    let world = World::demo().await;
    let date = async || {
        let answer = world.client.get(world.url("/_sim")).send().await.unwrap();
        let date = answer.headers()["date"].to_str().unwrap().to_owned();
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).unwrap().as_second()
    };
    let now = clock::now().wall.as_secs();
    assert!((date().await - now).abs() <= 2);
    json_of(&world, Method::POST, "/time", r#"{"skew-secs": -3600}"#).await;
    assert!((date().await - now + 3600).abs() <= 2);
    let assertion = Assertion::new(&world).signed(&application().key);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
        ("scope", GRAPH_SCOPE),
    ];
    let (status, body) = read(world.ask_for_token(&form).await).await;
    assert_eq!((status.as_u16(), body["error_codes"][0].as_u64()), (401, Some(500_133)));
}

#[tokio::test]
async fn statistics_tell_calls_without_their_secrets() {
    let world = World::demo().await;
    world.graph(&format!("/{LT_0042}?$select=id,complianceState")).await;
    let told = json_of(&world, Method::GET, "/statistics", "").await;
    assert_eq!(told["surfaces"]["token"]["answered"], 1);
    assert_eq!(told["surfaces"]["graph-device"]["answered"], 1);
    let target = format!("/v1.0/deviceManagement/managedDevices/{LT_0042}?$select=id,complianceState");
    assert_eq!(
        told["calls"][1],
        json!({ "surface": "graph-device", "method": "GET", "target": target, "status": 200 })
    );
    assert!(!told.to_string().contains(SECRET));
    json_of(&world, Method::DELETE, "/statistics", "").await;
    let told = world.cloud().statistics();
    assert_eq!((told.requests(), told.tokens_issued, told.of(Surface::Token).requests), (0, 0, 0));
}

#[tokio::test]
async fn a_cloud_listens_on_loopback_only() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let listen: SocketAddr = listen.parse().unwrap();
        let started = Sim::start(Settings { listen, ..Settings::loopback(Fleet::demo()) }).await;
        let error = started.expect_err("an address that others reach is refused");
        assert!(matches!(error, StartError::NotLoopback(address) if address == listen), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let world = World::demo().await;
    let started = Sim::start(Settings { listen: world.sim.addr, ..Settings::loopback(Fleet::demo()) }).await;
    let error = started.expect_err("two can't have one port").to_string();
    assert!(error.contains("can't be had") && error.ends_with("use another port"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_by_its_number() {
    let credentials =
        Credentials { certificates: vec![application().certificate.clone(), vec![1, 2, 3]], ..Credentials::default() };
    let started = Sim::start(Settings { credentials, ..Settings::loopback(Fleet::demo()) }).await;
    assert!(matches!(started, Err(StartError::Certificate(2))));
}

#[tokio::test]
async fn a_folder_of_certificates_replaces_the_throw_away_ones() {
    let folder = std::env::temp_dir().join(format!("radmit-sim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let started =
        Sim::start(Settings { tls: TlsSource::Folder(folder.clone()), ..Settings::loopback(Fleet::demo()) }).await;
    let error = started.expect_err("an empty folder has no certificate").to_string();
    assert!(error.contains("server.pem"), "{error}");

    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("server.pem"), &certificate).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("ca.pem"), &certificate).unwrap();
    let settings = Settings { tls: TlsSource::Folder(folder.clone()), ..Settings::loopback(Fleet::demo()) };
    let sim = Sim::start(settings).await.unwrap();
    assert_eq!(sim.ca_pem, certificate);
    let answer = client(&sim.ca_pem).get(format!("{}/_sim", sim.base_url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_ca_gets_no_answer() {
    let world = World::demo().await;
    let other = World::demo().await;
    assert!(other.client.get(world.url("/_sim")).send().await.is_err());
}
