//! Every fault, as a client meets it.

use std::time::Duration;

use radmit::sim::{Fault, FaultKind, Surface, Surfaces};

use super::*;

const DEVICE: Surfaces = Surfaces::of(Surface::Device);
const LIST: Surfaces = Surfaces::of(Surface::List);

/// How a client sees one request for a device.
async fn device(world: &World, token: &str) -> Result<Response, reqwest::Error> {
    world.get(&format!("/v1.0/deviceManagement/managedDevices/{LT_0042}"), token).send().await
}

/// The cloud with one fault for single devices, and a token.
async fn faulty(fault: Fault) -> (World, String) {
    let world = World::demo().await;
    let token = world.token(GRAPH_SCOPE).await;
    assert!(world.cloud().add_fault(fault));
    (world, token)
}

async fn answered(kind: FaultKind) -> (u16, Value) {
    let (world, token) = faulty(Fault::new(DEVICE, kind)).await;
    let (status, body) = read(device(&world, &token).await.expect("Graph answers")).await;
    assert_eq!(world.cloud().statistics().of(Surface::Device).faulted, 1);
    (status.as_u16(), body)
}

#[tokio::test]
async fn statuses_have_the_bodies_of_their_service() {
    let world = World::demo().await;
    let token = world.token(GRAPH_SCOPE).await;
    for (status, code) in
        [(503, "ServiceUnavailable"), (504, "GatewayTimeout"), (404, "ResourceNotFound"), (500, "InternalServerError")]
    {
        assert!(world.cloud().add_fault(Fault::status(DEVICE, status).times(1)));
        let (seen, body) = read(device(&world, &token).await.unwrap()).await;
        assert_eq!((seen.as_u16(), body["error"]["code"].as_str()), (status, Some(code)));
    }
    assert!(world.cloud().add_fault(Fault::status(Surfaces::of(Surface::Token), 503)));
    let (status, body) = read(world.ask_for_token(&[]).await).await;
    assert_eq!((status.as_u16(), body["error_codes"][0].as_u64()), (503, Some(90033)));
    assert!(world.cloud().add_fault(Fault::status(Surfaces::RETRIEVAL, 503).times(1)));
    world.cloud().clear_faults(Surfaces::of(Surface::Token));
    let (status, body) = world.retrieval("/ciscoise/mdminfo/").await;
    assert_eq!(status.as_u16(), 503);
    assert!(body.contains("aren't available"));
}

#[tokio::test]
async fn a_fault_passes_by_itself() {
    let (world, token) = faulty(Fault::status(DEVICE, 503).after(1).times(2)).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(device(&world, &token).await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    assert!(world.cloud().faults().is_empty());
}

#[tokio::test]
async fn a_delayed_answer_is_right_but_late() {
    let (world, token) = faulty(Fault::delay(DEVICE, Duration::from_millis(80))).await;
    let before = clock::now();
    assert_eq!(device(&world, &token).await.unwrap().status(), StatusCode::OK);
    assert!(clock::now().mono.since(before.mono) >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_reset_is_no_answer_in_either_version_of_http() {
    for client in [client, client_of_http_1] {
        let (mut world, token) = faulty(Fault::new(DEVICE, FaultKind::Reset).times(1)).await;
        world.client = client(&world.sim.ca_pem);
        assert!(device(&world, &token).await.is_err());
        assert_eq!(device(&world, &token).await.unwrap().status(), StatusCode::OK);
        assert_eq!(world.cloud().statistics().of(Surface::Device).failed, 1);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_resets_is_no_answer_either() {
    let world = World::demo().await;
    assert!(world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Token), FaultKind::Reset)));
    assert!(world.client.post(world.sim.token_url()).send().await.is_err());
}

#[tokio::test]
async fn half_an_answer_breaks_off_in_either_version_of_http() {
    for client in [client, client_of_http_1] {
        let mut world = World::of(Fleet::generated(1_000, 1)).await;
        world.client = client(&world.sim.ca_pem);
        let token = world.token(GRAPH_SCOPE).await;
        assert!(world.cloud().add_fault(Fault::new(LIST, FaultKind::Half)));
        let answer = world.get("/v1.0/deviceManagement/managedDevices", &token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.bytes().await.is_err());
    }
}

#[tokio::test]
async fn a_hanging_request_gets_nothing_until_its_client_gives_up() {
    let (world, token) = faulty(Fault::new(DEVICE, FaultKind::Hang)).await;
    let request = world.get(&format!("/v1.0/deviceManagement/managedDevices/{LT_0042}"), &token);
    let error = request.timeout(Duration::from_millis(150)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[tokio::test]
async fn a_shutdown_cuts_requests_that_hang_and_frees_the_port() {
    let (world, token) = faulty(Fault::new(DEVICE, FaultKind::Hang)).await;
    let request = world.get(&format!("/v1.0/deviceManagement/managedDevices/{LT_0042}"), &token).send();
    let hanging = tokio::spawn(request);
    while world.cloud().statistics().of(Surface::Device).requests == 0 {
        tokio::task::yield_now().await;
    }
    let addr = world.sim.addr;
    world.sim.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    let again = Sim::start(Settings { listen: addr, ..Settings::loopback(Fleet::demo()) }).await.unwrap();
    assert_eq!(again.addr, addr);
}

#[tokio::test]
async fn a_trickling_answer_is_whole_in_the_end() {
    let world = World::of(Fleet::generated(50, 1)).await;
    let token = world.token(GRAPH_SCOPE).await;
    assert!(
        world.cloud().add_fault(Fault { delay: Duration::from_millis(200), ..Fault::new(LIST, FaultKind::Trickle) })
    );
    let before = clock::now();
    let (status, body) = read(world.get("/v1.0/deviceManagement/managedDevices", &token).send().await.unwrap()).await;
    assert_eq!((status, body["value"].as_array().unwrap().len()), (StatusCode::OK, 50));
    assert!(clock::now().mono.since(before.mono) >= Duration::from_millis(150));
}

#[tokio::test]
async fn broken_bodies_come_with_200() {
    for (kind, content_type, is_json) in [
        (FaultKind::Truncated, "application/json", false),
        (FaultKind::Html, "text/html", false),
        (FaultKind::Empty, "application/json", false),
        (FaultKind::WrongType, "application/octet-stream", true),
        (FaultKind::ErrorInside, "application/json", true),
    ] {
        let (world, token) = faulty(Fault::new(DEVICE, kind)).await;
        let answer = device(&world, &token).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{kind:?}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(content_type), "{kind:?}");
        let body = answer.bytes().await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).is_ok(), is_json, "{kind:?}");
    }
    assert_eq!(answered(FaultKind::ErrorInside).await.1["error"]["code"], "InternalServerError");
}

#[tokio::test]
async fn a_huge_body_is_larger_than_any_answer_may_be() {
    let (world, token) = faulty(Fault::new(DEVICE, FaultKind::Huge)).await;
    let answer = device(&world, &token).await.unwrap();
    let length = answer.content_length().unwrap();
    assert!(length > radmit::limits::HTTP_ANSWER_OCTETS_MAX as u64, "{length}");
}

#[tokio::test]
async fn throttling_comes_with_and_without_the_wait_and_as_text_from_entra() {
    let (world, token) =
        faulty(Fault { retry_after: Some(Duration::from_secs(7)), ..Fault::new(DEVICE, FaultKind::Throttle) }).await;
    let answer = device(&world, &token).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &reqwest::header::HeaderValue::from_static("7"))
    );
    world.cloud().clear_faults(Surfaces::ALL);
    assert!(world.cloud().add_fault(Fault::new(DEVICE, FaultKind::ThrottleSilent)));
    let answer = device(&world, &token).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (429, false));
    let wait = Some(Duration::from_secs(60));
    let fault = Fault { retry_after: wait, ..Fault::new(Surfaces::of(Surface::Token), FaultKind::Throttle) };
    assert!(world.cloud().add_fault(fault));
    let answer = world.ask_for_token(&[]).await;
    assert_eq!(answer.headers()["retry-after"], "60");
    assert_eq!(answer.text().await.unwrap(), "Too Many Requests");
}

#[tokio::test]
async fn a_missing_permission_or_licence_and_an_expired_token_read_as_microsoft_writes_them() {
    let (status, body) = answered(FaultKind::NoPermission).await;
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("Forbidden")));
    assert!(body["error"]["message"].as_str().unwrap().contains("DeviceManagementManagedDevices.Read.All"));
    let (status, body) = answered(FaultKind::NoLicence).await;
    assert_eq!((status, body["error"]["message"].as_str()), (400, Some("Request not applicable to target tenant.")));
    let (status, body) = answered(FaultKind::ExpiredToken).await;
    assert_eq!((status, body["error"]["code"].as_str()), (401, Some("InvalidAuthenticationToken")));

    let (world, token) = faulty(Fault::new(Surfaces::of(Surface::Discovery), FaultKind::NoPermission)).await;
    let path = "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints";
    let (status, body) = read(world.get(path, &token).send().await.unwrap()).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (403, Some("Authorization_RequestDenied")));
}

#[tokio::test]
async fn a_redirect_leads_to_a_place_that_counts_the_tokens_it_gets() {
    let (world, token) = faulty(Fault::new(DEVICE, FaultKind::Redirect)).await;
    let answer = device(&world, &token).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("https://localhost:"), "{location}");
    assert_eq!(world.client.get(&location).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.client.get(&location).bearer_auth(&token).send().await.unwrap().status(), StatusCode::OK);
    let statistics = world.cloud().statistics();
    assert_eq!((statistics.elsewhere, statistics.elsewhere_with_token), (2, 1));
}

#[tokio::test]
async fn lists_end_early_never_or_elsewhere() {
    let world = World::of(Fleet::generated(10, 1)).await;
    let list = async |kind| {
        world.cloud().clear_faults(Surfaces::ALL);
        assert!(world.cloud().add_fault(Fault::new(LIST, kind)));
        world.graph("?$top=4&$select=id").await.1
    };
    let short = list(FaultKind::ShortList).await;
    assert_eq!((short["value"].as_array().unwrap().len(), short.get("@odata.nextLink")), (2, None));

    let endless = list(FaultKind::EndlessPages).await;
    let token = world.token(GRAPH_SCOPE).await;
    let next = world.client.get(endless["@odata.nextLink"].as_str().unwrap()).bearer_auth(&token);
    let (_, second) = read(next.send().await.unwrap()).await;
    assert_eq!((&second["value"], &second["@odata.nextLink"]), (&endless["value"], &endless["@odata.nextLink"]));

    let foreign = list(FaultKind::ForeignPage).await;
    let link = foreign["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with("https://localhost:"), "{link}");
}

#[tokio::test]
async fn rows_carry_words_and_macs_that_mean_nothing() {
    assert_eq!(answered(FaultKind::UnknownValues).await.1["complianceState"], "quantumCompliant");
    let world = World::demo().await;
    assert!(world.cloud().add_fault(Fault::new(LIST, FaultKind::BrokenMacs)));
    let (_, body) = world.graph("?$select=wiFiMacAddress").await;
    let mut macs: Vec<String> =
        body["value"].as_array().unwrap().iter().map(|row| row["wiFiMacAddress"].to_string()).collect();
    macs.sort();
    assert_eq!(macs, ["\"\"", "\"000000000000\"", "null"]);
}

#[tokio::test]
async fn another_device_than_the_asked_one_can_answer() {
    let (_, body) = answered(FaultKind::WrongDevice).await;
    assert_eq!(body["id"], LT_0043);
    let world = World::demo().await;
    assert!(world.cloud().add_fault(Fault::new(Surfaces::of(Surface::Search), FaultKind::WrongDevice)));
    let (_, body) = world.graph(&format!("?$filter=azureADDeviceId eq '{LT_0042_ENTRA}'")).await;
    assert_eq!(body["value"][0]["id"], LT_0043);
}

#[tokio::test]
async fn discovery_names_the_service_oddly_or_not_at_all() {
    let world = World::demo().await;
    let discovery = Surfaces::of(Surface::Discovery);
    assert!(world.cloud().add_fault(Fault::new(discovery, FaultKind::OddCase)));
    assert!(world.discovered().await.is_some(), "it is found without regard to case");
    world.cloud().clear_faults(discovery);
    assert!(world.cloud().add_fault(Fault::new(discovery, FaultKind::NoService)));
    assert_eq!(world.discovered().await, None);
}

#[tokio::test]
async fn compliance_retrieval_has_its_own_faults() {
    let world = World::demo().await;
    let ask = async |kind, id: &str| {
        world.cloud().clear_faults(Surfaces::RETRIEVAL);
        assert!(world.cloud().add_fault(Fault::new(Surfaces::RETRIEVAL, kind)));
        let (status, xml) =
            world.retrieval(&format!("/cisco/devices/?paging=0&querycriteria=guid&value={id}&filter=all")).await;
        (status.as_u16(), xml)
    };
    assert_eq!(ask(FaultKind::UnknownIs404, NOBODY).await.0, 404);
    let (status, xml) = ask(FaultKind::UnknownIsUnregistered, NOBODY).await;
    assert_eq!(status, 200);
    assert!(xml.contains(NOBODY) && xml.contains("<register_status>false</register_status>"), "{xml}");
    assert!(ask(FaultKind::Busy, LT_0042).await.1.contains("<server_busy_wait_seconds>30</server_busy_wait_seconds>"));
    let (_, old) = ask(FaultKind::OldXml, LT_0042).await;
    assert!(
        old.starts_with("<ise_api><name>") && old.contains("<compliance><status>true</status></compliance>"),
        "{old}"
    );
    let (_, doctype) = ask(FaultKind::Doctype, LT_0042).await;
    assert!(doctype.starts_with("<!DOCTYPE") && doctype.contains("<status>&yes;</status>"), "{doctype}");
}

#[tokio::test]
async fn a_fault_of_single_devices_shows_inside_a_batch() {
    let (world, token) = faulty(Fault::new(DEVICE, FaultKind::ThrottleSilent).times(1)).await;
    let part =
        |id: &str| json!({ "id": id, "method": "GET", "url": format!("/deviceManagement/managedDevices/{LT_0042}") });
    let body = json!({ "requests": [part("1"), part("2")] });
    let request = world.client.post(world.url("/v1.0/$batch")).bearer_auth(&token).json(&body);
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let mut inner: Vec<u64> =
        body["responses"].as_array().unwrap().iter().map(|part| part["status"].as_u64().unwrap()).collect();
    inner.sort_unstable();
    assert_eq!(inner, [200, 429]);

    assert!(world.cloud().add_fault(Fault::new(DEVICE, FaultKind::Hang)));
    let request =
        world.client.post(world.url("/v1.0/$batch")).bearer_auth(&token).json(&json!({ "requests": [part("1")] }));
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!((status, body["responses"][0]["status"].as_u64()), (StatusCode::OK, Some(504)));
}
