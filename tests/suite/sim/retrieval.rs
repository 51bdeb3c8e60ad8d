//! The compliance retrieval service.

use std::{collections::HashSet, time::Duration};

use radmit::{
    device::identifier::{Guid, IntuneId},
    sim::OldUnit,
};

use super::*;

const LIST: &str =
    "/cisco/devices/?paging=0&querycriteria=compliance&value=false&deviceidentifier=macaddress&filter=all";

fn by_guid(id: &str) -> String {
    format!("/cisco/devices/?paging=0&querycriteria=guid&value={id}&filter=all")
}

fn by_mac(mac: &str) -> String {
    format!("/cisco/devices/?paging=0&querycriteria=macaddress&value={mac}&filter=all")
}

#[tokio::test]
async fn the_service_says_what_it_is() {
    let world = World::demo().await;
    let (status, xml) = world.retrieval("/ciscoise/mdminfo/?ise_api_version=3").await;
    assert_eq!(status, StatusCode::OK);
    assert!(xml.starts_with("<ise_api xmlns:i="), "{xml}");
    for part in
        ["<name>mdminfo</name>", "<query_max_size>100</query_max_size>", "ComplianceRetrievalService/cisco</api_path>"]
    {
        assert!(xml.contains(part), "{part}");
    }
}

#[tokio::test]
async fn a_device_is_found_by_guid_and_by_either_mac() {
    let world = World::demo().await;
    let (_, by_id) = world.retrieval(&by_guid(LT_0042)).await;
    assert!(by_id.contains("<Compliance><status>true</status></Compliance>"), "{by_id}");
    assert!(by_id.contains("<register_status>true</register_status>"));
    assert!(!by_id.contains("macaddress") && !by_id.contains("paging_info"));
    for mac in ["A4C3F0112233", "A4C3F0445566"] {
        let (_, found) = world.retrieval(&by_mac(mac)).await;
        assert!(found.contains(&format!("<guid>{LT_0042}</guid>")), "{found}");
        assert!(found.contains(&format!("<macaddress>{mac}</macaddress>")));
    }
    let (_, noncompliant) = world.retrieval(&by_guid(LT_0043)).await;
    assert!(noncompliant.contains("<status>false</status>"));
}

#[tokio::test]
async fn nobody_is_200_with_an_empty_list() {
    let world = World::demo().await;
    for query in
        [by_guid(NOBODY), by_guid(""), by_mac("A4C3F0999999"), by_mac("A4-C3-F0-11-22-33"), by_mac("000000000000")]
    {
        let (status, xml) = world.retrieval(&query).await;
        assert_eq!(status, StatusCode::OK, "{query}");
        assert!(xml.contains("<deviceList/>"), "{query}");
    }
    assert_eq!(world.retrieval("/cisco/devices/?querycriteria=phone&value=1").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_unmanaged_device_is_not_registered() {
    let world = World::demo().await;
    let id = IntuneId(Guid::parse(LT_0042.as_bytes()).unwrap());
    assert!(world.cloud().change_device(id, clock::now().wall, |device| device.managed = false));
    let (_, xml) = world.retrieval(&by_guid(LT_0042)).await;
    assert!(xml.contains("<register_status>false</register_status>"), "{xml}");
}

#[tokio::test]
async fn the_list_of_all_comes_in_pages_of_a_hundred_and_only_once_in_four_hours() {
    let world = World::of(Fleet::generated(10_000, 5)).await;
    let (mut next, mut guids, mut pages) = ("0".to_owned(), HashSet::new(), 0);
    loop {
        let (status, xml) = world.retrieval(&LIST.replace("paging=0", &format!("paging={next}"))).await;
        assert_eq!(status, StatusCode::OK);
        let page: Vec<&str> = xml.split("<device><guid>").skip(1).map(|rest| &rest[..36]).collect();
        assert!(page.len() <= 100);
        assert_eq!(xml.matches("<macaddress>").count(), page.len());
        guids.extend(page.into_iter().map(str::to_owned));
        pages += 1;
        next = xml.split("<paging_info>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        if next == "0" {
            break;
        }
    }
    assert!(pages >= 4 && guids.len() > 400, "{pages} pages, {} devices", guids.len());
    assert_eq!(world.retrieval(LIST).await.0, StatusCode::SERVICE_UNAVAILABLE);
    world.cloud().advance(Duration::from_secs(4 * 3600 - 60));
    assert_eq!(world.retrieval(LIST).await.0, StatusCode::SERVICE_UNAVAILABLE);
    world.cloud().advance(Duration::from_secs(60));
    assert_eq!(world.retrieval(LIST).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_moved_tenant_is_found_at_its_new_place_only() {
    let world = World::demo().await;
    let token = world.token(INTUNE_SCOPE).await;
    let old = world.discovered().await.unwrap() + &by_guid(LT_0042);
    world.cloud().move_scale_unit(OldUnit::NotFound);
    let answer = world.client.get(&old).bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(
        answer.text().await.unwrap().contains("<!DOCTYPE html>"),
        "the front door's page, not the service's answer"
    );
    let new = world.discovered().await.unwrap() + &by_guid(LT_0042);
    assert_ne!(new, old);
    assert_eq!(world.client.get(&new).bearer_auth(&token).send().await.unwrap().status(), StatusCode::OK);
    world.cloud().move_scale_unit(OldUnit::Silent);
    assert!(world.client.get(&new).bearer_auth(&token).send().await.is_err());
}
