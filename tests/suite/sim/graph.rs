//! Graph: managed devices, batches, discovery, the limit.

use std::collections::{BTreeSet, HashSet};

use radmit::sim::{Limit, Surface};

use super::*;

/// All rows of a list, page by page, and how many pages there were.
async fn all_pages(world: &World, query: &str) -> (Vec<Value>, usize) {
    let token = world.token(GRAPH_SCOPE).await;
    let mut link = Some(world.url(&format!("/v1.0/deviceManagement/managedDevices{query}")));
    let (mut rows, mut pages) = (Vec::new(), 0);
    while let Some(url) = link {
        let (status, body) = read(world.client.get(url).bearer_auth(&token).send().await.expect("Graph answers")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let page = body["value"].as_array().expect("a page has rows").clone();
        assert_eq!(body["@odata.count"].as_u64(), Some(page.len() as u64), "the count is the page's");
        rows.extend(page);
        pages += 1;
        link = body["@odata.nextLink"].as_str().map(str::to_owned);
    }
    (rows, pages)
}

#[tokio::test]
async fn a_device_is_found_by_its_intune_id_in_every_form_of_the_path() {
    let world = World::demo().await;
    for path in [format!("/{LT_0042}"), format!("('{LT_0042}')"), format!("({LT_0042})")] {
        let (status, body) = world.graph(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(body["deviceName"], "LT-0042");
        assert_eq!(body["complianceState"], "compliant");
        assert_eq!(body["wiFiMacAddress"], "A4C3F0112233");
        assert_eq!(body["azureADDeviceId"], LT_0042_ENTRA);
        assert_eq!(body["jailBroken"], "Unknown");
    }
}

#[tokio::test]
async fn the_ethernet_mac_is_told_only_if_it_is_selected_from_one_device() {
    let world = World::demo().await;
    let (_, whole) = world.graph(&format!("/{LT_0042}")).await;
    assert_eq!(whole["ethernetMacAddress"], Value::Null);
    let (_, selected) = world.graph(&format!("/{LT_0042}?$select=id,ethernetMacAddress")).await;
    assert_eq!(selected["ethernetMacAddress"], "A4C3F0445566");
    let keys: BTreeSet<&str> = selected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["@odata.context", "ethernetMacAddress", "id"]));
    let (_, list) = world.graph("?$select=id,ethernetMacAddress").await;
    assert!(list["value"].as_array().unwrap().iter().all(|row| row["ethernetMacAddress"].is_null()));
}

#[tokio::test]
async fn an_unknown_device_is_404_with_a_message_inside_the_message() {
    let world = World::demo().await;
    let (status, body) = world.graph(&format!("/{NOBODY}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body["error"]["code"], "ResourceNotFound");
    let inner: Value = serde_json::from_str(body["error"]["message"].as_str().unwrap()).unwrap();
    assert!(inner["Message"].as_str().unwrap().starts_with("An error has occurred - Operation ID"));
    assert_eq!(world.graph("/not-a-guid").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_filter_finds_by_entra_id_serial_and_name() {
    let world = World::of(Fleet::demo().with_generated(500, 7)).await;
    for filter in [
        format!("azureADDeviceId eq '{LT_0042_ENTRA}'"),
        "serialNumber eq 'SN000042'".to_owned(),
        "deviceName eq 'LT-0042'".to_owned(),
        format!("id eq '{LT_0042}'"),
    ] {
        let (status, body) = world.graph(&format!("?$filter={filter}")).await;
        assert_eq!(status, StatusCode::OK, "{filter}");
        let rows = body["value"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{filter}");
        assert_eq!(rows[0]["id"], LT_0042);
    }
    let (_, none) = world.graph(&format!("?$filter=azureADDeviceId eq '{NOBODY}'")).await;
    assert_eq!(none["value"].as_array().unwrap().len(), 0);
    assert_eq!(world.cloud().statistics().of(Surface::Search).answered, 5);
}

#[tokio::test]
async fn a_filter_on_a_mac_or_an_empty_key_returns_everybody() {
    let world = World::demo().await;
    for filter in
        ["wiFiMacAddress eq 'A4C3F0112233'", "ethernetMacAddress eq 'FFFFFFFFFFFF'", "azureADDeviceId eq ''", ""]
    {
        let (status, body) = world.graph(&format!("?$filter={filter}")).await;
        assert_eq!(status, StatusCode::OK, "{filter}");
        assert_eq!(body["value"].as_array().unwrap().len(), 3, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_by_time_finds_who_checked_in_since() {
    let world = World::demo().await;
    let after_the_check_ins = clock::now().wall.minus(std::time::Duration::from_secs(2 * 3600 - 60));
    let since = "1970-01-01T00:00:00Z";
    assert_eq!(all_pages(&world, &format!("?$filter=lastSyncDateTime gt {since}")).await.0.len(), 3);
    let recent = jiff::Timestamp::from_microsecond(after_the_check_ins.as_micros()).unwrap();
    let query = format!("?$filter=lastSyncDateTime gt {}", recent.strftime("%Y-%m-%dT%H:%M:%SZ"));
    assert_eq!(all_pages(&world, &query).await.0.len(), 0);
    let (status, _) =
        world.control(reqwest::Method::PATCH, &format!("/devices/{LT_0043}"), r#"{"compliance": "compliant"}"#).await;
    assert_eq!(status, StatusCode::OK);
    let rows = all_pages(&world, &query).await.0;
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), [LT_0043]);
}

#[tokio::test]
async fn a_list_is_complete_over_all_of_its_pages() {
    let world = World::of(Fleet::demo().with_generated(2_500, 7)).await;
    for (query, pages_expected) in
        [("?$select=id", 3), ("?$top=999&$select=id,deviceName", 3), ("?$top=5000&$select=id", 3)]
    {
        let (rows, pages) = all_pages(&world, query).await;
        let ids: HashSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!((rows.len(), ids.len(), pages), (2_503, 2_503, pages_expected), "{query}");
    }
}

#[tokio::test]
async fn a_link_to_the_next_page_keeps_host_and_query_and_hides_its_place() {
    let world = World::of(Fleet::generated(10, 7)).await;
    let (_, body) = world.graph("?$top=4&$select=id").await;
    let link = body["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with(&world.sim.base_url), "{link}");
    assert!(link.contains("$top=4&") && link.contains("$select=id&") && link.contains("$skiptoken="), "{link}");
    assert_eq!(world.graph("?$skiptoken=4").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_the_real_service_would_refuse_is_refused() {
    let world = World::demo().await;
    for query in [
        "?$select=id,deviceNme",
        "?$filter=model eq 'x'",
        "?$search=\"x\"",
        "?$top=0",
        "?$filter=deviceName eq 'a' or deviceName eq 'b'",
    ] {
        let (status, body) = world.graph(query).await;
        assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("BadRequest")), "{query}");
    }
}

#[tokio::test]
async fn a_batch_answers_every_part_in_any_order_and_each_part_counts() {
    let world = World::of(Fleet::demo().with_generated(30, 7)).await;
    let token = world.token(GRAPH_SCOPE).await;
    let (rows, _) = all_pages(&world, "?$top=19&$select=id").await;
    world.cloud().reset_statistics();
    let mut requests: Vec<Value> = rows
        .iter()
        .take(19)
        .enumerate()
        .map(|(nth, row)| {
            let url = format!(
                "/deviceManagement/managedDevices/{}?$select=id,ethernetMacAddress",
                row["id"].as_str().unwrap()
            );
            json!({ "id": nth.to_string(), "method": "GET", "url": url })
        })
        .collect();
    requests.push(json!({ "id": "19", "method": "GET", "url": format!("/deviceManagement/managedDevices/{NOBODY}") }));
    let send = async |body: Value| {
        let request = world.client.post(world.url("/v1.0/$batch")).bearer_auth(&token).json(&body);
        read(request.send().await.unwrap()).await
    };
    let (status, body) = send(json!({ "requests": requests })).await;
    assert_eq!(status, StatusCode::OK);
    let responses = body["responses"].as_array().unwrap();
    let ids: Vec<&str> = responses.iter().map(|response| response["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20);
    assert!(!ids.is_sorted_by_key(|id| id.parse::<u32>().unwrap()), "{ids:?}");
    let unknown = responses.iter().find(|response| response["id"] == "19").unwrap();
    assert_eq!(
        (unknown["status"].as_u64(), unknown["body"]["error"]["code"].as_str()),
        (Some(404), Some("ResourceNotFound"))
    );
    let known = responses.iter().find(|response| response["id"] == "0").unwrap();
    assert_eq!((&known["status"], &known["body"]["id"]), (&json!(200), &rows[0]["id"]));
    let statistics = world.cloud().statistics();
    assert_eq!((statistics.of(Surface::Batch).requests, statistics.of(Surface::Device).requests), (1, 20));
    assert_eq!(statistics.most_in_window, 20 + 2, "the two pages of the list are still in the window");

    requests.push(json!({ "id": "20", "method": "GET", "url": "/deviceManagement/managedDevices" }));
    assert_eq!(send(json!({ "requests": requests })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(json!({ "requests": [requests[0], requests[0]] })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(json!({ "request": [] })).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_limit_refuses_counts_and_tells_how_long_to_wait() {
    let world = World::demo().await;
    let window = std::time::Duration::from_secs(20);
    world.cloud().set_limit(Limit { requests: 5, window, retry_after: true });
    let token = world.token(GRAPH_SCOPE).await;
    let ask =
        async || world.get(&format!("/v1.0/deviceManagement/managedDevices/{LT_0042}"), &token).send().await.unwrap();
    for _ in 0..5 {
        assert_eq!(ask().await.status(), StatusCode::OK);
    }
    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "TooManyRequests");

    world.cloud().set_limit(Limit { requests: 5, window, retry_after: false });
    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.headers().contains_key("retry-after"));

    world.cloud().advance(window);
    assert_eq!(ask().await.status(), StatusCode::OK);
    let statistics = world.cloud().statistics();
    assert_eq!((statistics.over_limit, statistics.most_in_window), (2, 7));
    assert_eq!(statistics.of(Surface::Device).throttled, 2);
}

#[tokio::test]
async fn the_published_limit_is_the_default() {
    assert_eq!(
        Limit::default(),
        Limit { requests: 2_000, window: std::time::Duration::from_secs(20), retry_after: true }
    );
}

#[tokio::test]
async fn parts_of_a_batch_meet_the_limit_on_their_own() {
    let world = World::demo().await;
    world.cloud().set_limit(Limit { requests: 3, ..Limit::default() });
    let token = world.token(GRAPH_SCOPE).await;
    let requests: Vec<Value> = (0..5)
        .map(|nth| json!({ "id": nth.to_string(), "method": "GET", "url": format!("/deviceManagement/managedDevices/{LT_0042}") }))
        .collect();
    let request =
        world.client.post(world.url("/v1.0/$batch")).bearer_auth(&token).json(&json!({ "requests": requests }));
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "the outside says nothing of the inside");
    let refused: Vec<&Value> =
        body["responses"].as_array().unwrap().iter().filter(|response| response["status"] == 429).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused[0]["headers"]["Retry-After"].as_str().unwrap().parse::<u32>().unwrap() >= 1);
}

#[tokio::test]
async fn discovery_lists_the_service_between_decoys() {
    let world = World::demo().await;
    let token = world.token(GRAPH_SCOPE).await;
    let path = "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints";
    let (_, body) = read(world.get(path, &token).send().await.unwrap()).await;
    let uri = |name: &str| {
        let services = body["value"].as_array().unwrap();
        services
            .iter()
            .find(|service| service["providerName"] == name)
            .map(|service| service["uri"].as_str().unwrap().to_owned())
    };
    assert_eq!(uri("ASUName").as_deref(), Some("TESTASU01"));
    assert!(uri("NACAPIService").unwrap().ends_with("/StatelessNACService"));
    assert!(uri("ComplianceRetrievalService").unwrap().starts_with(&world.sim.base_url));
}

#[tokio::test]
async fn a_path_that_is_no_part_of_the_cloud_is_the_front_doors_404() {
    let world = World::demo().await;
    let answer = world.client.get(world.url("/StatelessNACService/devices/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(world.cloud().statistics().strays, 1);
}

#[tokio::test]
async fn a_million_devices_answer_by_every_key() {
    let world = World::of(Fleet::generated(1_000_000, 11)).await;
    let (_, page) = world.graph("?$top=1000&$select=id,azureADDeviceId,serialNumber,deviceName").await;
    let last = page["value"].as_array().unwrap().last().unwrap().clone();
    let (status, one) = world.graph(&format!("/{}", last["id"].as_str().unwrap())).await;
    assert_eq!((status, &one["azureADDeviceId"]), (StatusCode::OK, &last["azureADDeviceId"]));
    for name in ["azureADDeviceId", "serialNumber", "deviceName"] {
        let (_, found) = world.graph(&format!("?$filter={name} eq '{}'", last[name].as_str().unwrap())).await;
        assert_eq!(found["value"][0]["id"], last["id"], "{name}");
        assert_eq!(found["value"].as_array().unwrap().len(), 1, "{name}");
    }
}
