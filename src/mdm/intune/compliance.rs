//! The compliance retrieval service ("NAC 2.0"): the addresses that are asked and what its XML means.
//!
//! Owns addresses and judgements as plain functions. It sends nothing. Microsoft publishes no reference of this service;
//! the shapes are those that Cisco's devices use, and are read with patience.

use std::time::Duration;

use reqwest::Url;

use crate::{
    clock::Mono,
    device::{
        identifier::{Guid, IntuneId, MacAddress},
        question::Failure,
        record::{Compliance, DeviceRecord, Origin},
    },
};

use super::{
    super::{
        explain::{self, Complaint},
        transport::Reply,
    },
    graph::Asked,
    xml::{self, Event},
};

/// How it is called in sentences.
const RETRIEVAL: &str = "compliance retrieval";

/// What its calls need, in the API "Intune".
pub(super) const PERMISSION: &str = "get_device_compliance of the Intune API";

/// What it says about a device or a MAC address.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Said {
    /// This device, registered.
    Device(Box<DeviceRecord>),
    /// It answered in its own words that there is no such device.
    NotRegistered,
    /// Several devices.
    Ambiguous,
    /// 404: there is no such device, or the service has moved.
    Absent,
}

/// What it says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct About {
    /// Where users of devices that may not get in are sent.
    pub(in super::super) redirect_url: Option<String>,
}

/// One page of devices that are not compliant.
#[derive(Clone, Debug)]
pub(in super::super) struct NonCompliant {
    pub(in super::super) devices: Vec<IntuneId>,
    /// Where the next page begins.
    pub(in super::super) next: Option<String>,
}

/// What the service says about itself: the cheapest call.
pub(super) fn about_url(base: &Url) -> Url {
    address(base, &["ciscoise", "mdminfo", ""], "ise_api_version=3")
}

/// One device by its Intune id.
pub(super) fn device_url(base: &Url, id: IntuneId) -> Url {
    address(base, &["cisco", "devices", ""], &format!("paging=0&querycriteria=guid&value={id}&filter=all"))
}

/// The device that has a MAC address.
pub(super) fn mac_url(base: &Url, mac: MacAddress) -> Url {
    let value: String = mac.octets().iter().map(|octet| format!("{octet:02X}")).collect();
    address(base, &["cisco", "devices", ""], &format!("paging=0&querycriteria=macaddress&value={value}&filter=all"))
}

/// All devices that are not compliant; asked more often than every four hours it answers 503.
pub(super) fn noncompliant_url(base: &Url, page: &str) -> Url {
    let mut url = address(base, &["cisco", "devices", ""], "");
    // The page is a text of the service's, so it is encoded; the rest is our own.
    url.query_pairs_mut()
        .append_pair("paging", page)
        .append_pair("querycriteria", "compliance")
        .append_pair("value", "false")
        .append_pair("deviceidentifier", "guid")
        .append_pair("filter", "all");
    url
}

fn address(base: &Url, segments: &[&str], query: &str) -> Url {
    let mut url = super::graph::below(base, segments);
    url.set_query(Some(query));
    url
}

/// Judges the answer to a question by Intune id.
pub(super) fn judge_device(reply: &Reply, id: IntuneId, asked: Asked) -> Result<Said, Complaint> {
    let Some(answer) = devices(reply)? else { return Ok(Said::Absent) };
    let fitting: Vec<_> = answer.devices.iter().filter(|device| device.id == Some(id)).collect();
    match fitting.as_slice() {
        [device] => {
            device.said(asked).ok_or_else(|| Complaint::garbage(RETRIEVAL, reply, "a device without its state"))
        }
        [] if answer.devices.is_empty() => answer.whole(reply).map(|_| Said::NotRegistered),
        _ => Err(Complaint::garbage(RETRIEVAL, reply, "devices that were not asked for")),
    }
}

/// Judges the answer to a question by MAC address.
pub(super) fn judge_mac(reply: &Reply, mac: MacAddress, asked: Asked) -> Result<Said, Complaint> {
    let Some(answer) = devices(reply)? else { return Ok(Said::Absent) };
    let devices = answer.whole(reply)?;
    // An answer that names addresses must name this one. That it names them at all is not known.
    if devices.iter().any(|device| !device.macs.is_empty() && !device.macs.contains(&mac)) {
        return Err(Complaint::garbage(RETRIEVAL, reply, "devices that were not asked for"));
    }
    let said: Option<Vec<Said>> = devices.iter().map(|device| device.said(asked)).collect();
    let said = said.ok_or_else(|| Complaint::garbage(RETRIEVAL, reply, "a device without its id or state"))?;
    let mut registered = said.into_iter().filter(|said| *said != Said::NotRegistered);
    match (registered.next(), registered.next()) {
        (None, _) => Ok(Said::NotRegistered),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Ok(Said::Ambiguous),
    }
}

/// Judges what the service says about itself.
pub(super) fn judge_about(reply: &Reply) -> Result<About, Complaint> {
    let events = document(reply)?.ok_or_else(|| Complaint::garbage(RETRIEVAL, reply, "no such service there"))?;
    let redirect_url =
        texts(&events).find(|(path, _)| path.last() == Some(&"redirect_url")).map(|(_, text)| text.to_owned());
    Ok(About { redirect_url })
}

/// Judges one page of the devices that are not compliant.
pub(super) fn judge_noncompliant(reply: &Reply) -> Result<NonCompliant, Complaint> {
    if reply.status == 503 {
        let sentence = "compliance retrieval answered 503 to the list of all devices that are not compliant, as it does \
                        within four hours of the last time; another server of this tenant may ask for it too, or this one \
                        did before it was restarted";
        return Err(Complaint { retry_after: reply.retry_after, ..Complaint::new(Failure::Throttled, sentence) });
    }
    let answer = devices(reply)?.ok_or_else(|| Complaint::garbage(RETRIEVAL, reply, "no such service there"))?;
    let not_compliant = answer.devices.iter().filter(|device| device.compliant == Some(false));
    let next = answer.paging.clone();
    if next.as_ref().is_some_and(|next| next.len() > PAGE_OCTETS_MAX) {
        return Err(Complaint::garbage(RETRIEVAL, reply, "a page with an endless name"));
    }
    Ok(NonCompliant { devices: not_compliant.filter_map(|device| device.id).collect(), next })
}

/// The longest name of a page; those of Microsoft's other lists have some hundred octets.
const PAGE_OCTETS_MAX: usize = 2_048;

/// One device of an answer.
#[derive(Clone, Debug, Default)]
struct Device {
    id: Option<IntuneId>,
    macs: Vec<MacAddress>,
    registered: Option<bool>,
    compliant: Option<bool>,
}

impl Device {
    /// None if it lacks what an answer must have.
    fn said(&self, asked: Asked) -> Option<Said> {
        if !self.registered? {
            return Some(Said::NotRegistered);
        }
        let compliance = match self.compliant {
            Some(true) => Compliance::Compliant,
            Some(false) => Compliance::NonCompliant,
            None => Compliance::Unknown,
        };
        Some(Said::Device(Box::new(bare(self.id?, compliance, asked.at, asked.origin))))
    }
}

/// A record of which only registration and compliance are known.
pub(in super::super) fn bare(id: IntuneId, compliance: Compliance, answered_at: Mono, origin: Origin) -> DeviceRecord {
    DeviceRecord {
        intune_id: id,
        entra_id: None,
        wifi_mac: None,
        ethernet_mac: None,
        ethernet_told: false,
        managed: true,
        compliance,
        details: std::sync::Arc::default(),
        answered_at,
        origin,
    }
}

#[derive(Debug, Default)]
struct Answer {
    devices: Vec<Device>,
    /// Where the next page begins; 0 and nothing at all mean that there is none.
    paging: Option<String>,
}

impl Answer {
    /// The devices, if there are no more of them: what stands on a further page may say the opposite, and a question about
    /// one device has one page.
    fn whole(&self, reply: &Reply) -> Result<&[Device], Complaint> {
        match self.paging {
            None => Ok(&self.devices),
            Some(_) => Err(Complaint::garbage(RETRIEVAL, reply, "one page of several to a question about one device")),
        }
    }
}

/// The devices of an answer; none for a 404.
fn devices(reply: &Reply) -> Result<Option<Answer>, Complaint> {
    let Some(events) = document(reply)? else { return Ok(None) };
    let mut answer = Answer::default();
    let (mut path, mut listed) = (Vec::<&str>::new(), false);
    for event in &events {
        match event {
            Event::Begin(name) => {
                path.push(name);
                listed |= path.as_slice() == ["ise_api", "devicelist"];
                if path.as_slice() == ["ise_api", "devicelist", "device"] {
                    answer.devices.push(Device::default());
                }
            }
            Event::End => {
                path.pop();
            }
            Event::Text(text) => match path.as_slice() {
                ["ise_api", "paging_info"] => answer.paging = Some(text.clone()).filter(|page| page.trim() != "0"),
                ["ise_api", "devicelist", "device", below @ ..] => {
                    if let Some(device) = answer.devices.last_mut() {
                        note(device, below, text);
                    }
                }
                _ => {}
            },
        }
    }
    if !listed {
        return Err(Complaint::garbage(RETRIEVAL, reply, "no list of devices in it"));
    }
    Ok(Some(answer))
}

/// Notes one text of a device. Version 2 has the attributes in lower case, version 3 in capitals; both come here in lower.
fn note(device: &mut Device, path: &[&str], text: &str) {
    match path {
        ["guid"] | ["attributes", "guid"] => {
            device.id = Guid::parse(text.as_bytes()).map(IntuneId).or(device.id);
        }
        ["macaddress"] | ["attributes", "macaddress" | "macaddresses"] => {
            device.macs.extend(text.split(',').filter_map(|part| MacAddress::parse(part.trim().as_bytes())));
        }
        ["attributes", "register_status"] => device.registered = truth(text),
        ["attributes", "compliance", "status"] => device.compliant = truth(text),
        _ => {}
    }
}

fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The document of a reply that is one of the service's; none for a 404.
fn document(reply: &Reply) -> Result<Option<Vec<Event>>, Complaint> {
    let page = reply.content_type.contains("html");
    match reply.status {
        200 if page || !reply.content_type.contains("xml") => Err(Complaint::garbage(RETRIEVAL, reply, "not XML")),
        200 => {
            let events = xml::read(&reply.body);
            let events =
                events.filter(|events| matches!(events.first(), Some(Event::Begin(name)) if name == "ise_api"));
            let events = events.ok_or_else(|| Complaint::garbage(RETRIEVAL, reply, "not its XML"))?;
            match busy(&events) {
                Some(wait) => Err(Complaint {
                    retry_after: Some(wait),
                    ..Complaint::new(Failure::Throttled, "compliance retrieval is busy and asks to wait")
                }),
                None => Ok(Some(events)),
            }
        }
        401 => Err(explain::unauthorised(RETRIEVAL)),
        403 if !page => Err(explain::forbidden(RETRIEVAL, PERMISSION)),
        404 => Ok(None),
        _ => Err(Complaint::status(RETRIEVAL, reply)),
    }
}

fn busy(events: &[Event]) -> Option<Duration> {
    let (_, text) = texts(events).find(|(path, _)| path.last() == Some(&"server_busy_wait_seconds"))?;
    let seconds: u64 = text.parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Every text with the names of the elements around it.
fn texts(events: &[Event]) -> impl Iterator<Item = (Vec<&str>, &str)> {
    let mut path: Vec<&str> = Vec::new();
    events.iter().filter_map(move |event| {
        match event {
            Event::Begin(name) => path.push(name),
            Event::End => {
                path.pop();
            }
            Event::Text(text) => return Some((path.clone(), text.as_str())),
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
    const OTHER: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02";

    fn asked() -> Asked {
        Asked { at: Mono::default(), origin: Origin::Lookup }
    }

    fn id(text: &str) -> IntuneId {
        IntuneId(Guid::parse(text.as_bytes()).expect("it is one"))
    }

    fn mac() -> MacAddress {
        MacAddress::parse(b"A4C3F0112233").expect("it is one")
    }

    fn device(id: &str, registered: &str, status: &str, more: &str) -> String {
        format!(
            "<device><guid>{id}</guid>{more}<Attributes><guid>{id}</guid><register_status>{registered}</register_status>\
             <Compliance><status>{status}</status></Compliance></Attributes></device>"
        )
    }

    fn reply(before: &str, devices: &str) -> Reply {
        let body = format!(
            "<ise_api xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns=\"http://schemas.datacontract.org/2004/07/\
             Microsoft.Intune.ResourceAccess.ComplianceRetrievalService.Model\"><name>attributes</name>\
             <api_version>3</api_version>{before}<deviceList>{devices}</deviceList></ise_api>"
        );
        Reply { status: 200, content_type: "application/xml".into(), body: body.into_bytes(), ..Reply::default() }
    }

    fn by_id(reply: &Reply) -> Result<Said, Failure> {
        judge_device(reply, id(ID), asked()).map_err(|complaint| complaint.failure)
    }

    fn by_mac(reply: &Reply) -> Result<Said, Failure> {
        judge_mac(reply, mac(), asked()).map_err(|complaint| complaint.failure)
    }

    fn found(compliance: Compliance) -> Result<Said, Failure> {
        Ok(Said::Device(Box::new(bare(id(ID), compliance, Mono::default(), Origin::Lookup))))
    }

    #[test]
    fn addresses_are_as_cisco_sends_them() {
        let base = Url::parse("https://fef.x.manage.microsoft.com/A/ComplianceRetrievalService").expect("a URL");
        let root = "https://fef.x.manage.microsoft.com/A/ComplianceRetrievalService";
        let ending = |query: &str| format!("{root}/cisco/devices/?paging=0&querycriteria={query}&filter=all");
        assert_eq!(about_url(&base).as_str(), format!("{root}/ciscoise/mdminfo/?ise_api_version=3"));
        assert_eq!(device_url(&base, id(ID)).as_str(), ending(&format!("guid&value={ID}")));
        assert_eq!(mac_url(&base, mac()).as_str(), ending("macaddress&value=A4C3F0112233"));
        assert_eq!(noncompliant_url(&base, "0").as_str(), ending("compliance&value=false&deviceidentifier=guid"));
        let odd = noncompliant_url(&base, "2&value=true+/=");
        assert!(odd.as_str().contains("/?paging=2%26value%3Dtrue%2B%2F%3D&querycriteria="), "{odd}");
    }

    /// Trap 10: capitals and namespaces differ between versions.
    #[test]
    fn both_versions_of_the_answer_are_read() {
        assert_eq!(by_id(&reply("", &device(ID, "true", "true", ""))), found(Compliance::Compliant));
        assert_eq!(by_id(&reply("", &device(ID, "true", "false", ""))), found(Compliance::NonCompliant));
        let body = format!(
            "<ise_api><deviceList><device><attributes><guid>{ID}</guid><register_status>True</register_status>\
             <compliance><status>true</status></compliance></attributes></device></deviceList></ise_api>"
        );
        let second = Reply { body: body.into_bytes(), ..reply("", "") };
        assert_eq!(by_id(&second), found(Compliance::Compliant));
    }

    /// Trap 11: not enrolled is an empty list, or a device that is not registered.
    #[test]
    fn not_registered_is_said_in_two_ways_and_a_404_only_may_mean_it() {
        for no in [reply("", ""), reply("", &device(ID, "false", "false", ""))] {
            assert_eq!((by_id(&no), by_mac(&no)), (Ok(Said::NotRegistered), Ok(Said::NotRegistered)));
        }
        let missing = Reply { status: 404, ..Reply::default() };
        assert_eq!((by_id(&missing), by_mac(&missing)), (Ok(Said::Absent), Ok(Said::Absent)));
    }

    /// Trap 11: a page is no list; on the next one the device may stand, or another one with that address.
    #[test]
    fn an_answer_that_goes_on_is_neither_a_no_nor_the_only_device() {
        let more = "<paging_info>2</paging_info>";
        assert_eq!(
            (by_id(&reply(more, "")), by_mac(&reply(more, ""))),
            (Err(Failure::Unreachable), Err(Failure::Unreachable))
        );
        let one = device(ID, "true", "true", "");
        assert_eq!(by_id(&reply(more, &one)), found(Compliance::Compliant), "its id names it");
        assert_eq!(by_mac(&reply(more, &one)), Err(Failure::Unreachable));
        for last in ["<paging_info>0</paging_info>", "<paging_info> 0 </paging_info>", "<paging_info/>", ""] {
            assert_eq!(
                (by_id(&reply(last, "")), by_mac(&reply(last, ""))),
                (Ok(Said::NotRegistered), Ok(Said::NotRegistered))
            );
            assert_eq!(by_mac(&reply(last, &one)), found(Compliance::Compliant), "{last}");
        }
    }

    #[test]
    fn devices_that_were_not_asked_for_are_no_answer() {
        assert_eq!(by_id(&reply("", &device(OTHER, "true", "true", ""))), Err(Failure::Unreachable));
        let other_mac = device(ID, "true", "true", "<macaddress>A4C3F0112234</macaddress>");
        assert_eq!(by_mac(&reply("", &other_mac)), Err(Failure::Unreachable));
        let this_mac = device(ID, "true", "true", "<macaddress>A4C3F0112234, A4-C3-F0-11-22-33</macaddress>");
        assert_eq!(by_mac(&reply("", &this_mac)), found(Compliance::Compliant));
    }

    #[test]
    fn two_registered_devices_with_one_mac_are_ambiguous() {
        let two = format!("{}{}", device(ID, "true", "true", ""), device(OTHER, "true", "true", ""));
        assert_eq!(by_mac(&reply("", &two)), Ok(Said::Ambiguous));
        let one = format!("{}{}", device(ID, "true", "true", ""), device(OTHER, "false", "false", ""));
        assert_eq!(by_mac(&reply("", &one)), found(Compliance::Compliant));
    }

    #[test]
    fn a_state_that_is_missing_is_unknown_and_a_registration_that_is_missing_is_no_answer() {
        let bare = format!(
            "<device><guid>{ID}</guid><Attributes><register_status>true</register_status></Attributes></device>"
        );
        assert_eq!(by_id(&reply("", &bare)), found(Compliance::Unknown));
        assert_eq!(by_id(&reply("", &format!("<device><guid>{ID}</guid></device>"))), Err(Failure::Unreachable));
        assert_eq!(by_mac(&reply("", &device("", "true", "true", ""))), Err(Failure::Unreachable));
    }

    #[test]
    fn a_busy_service_says_for_how_long() {
        let busy = reply("<server_busy_wait_seconds>9</server_busy_wait_seconds>", "");
        let complaint = judge_device(&busy, id(ID), asked()).expect_err("it is busy");
        assert_eq!((complaint.failure, complaint.retry_after), (Failure::Throttled, Some(Duration::from_secs(9))));
        assert_eq!(
            by_id(&reply("<server_busy_wait_seconds>0</server_busy_wait_seconds>", "")),
            Ok(Said::NotRegistered)
        );
    }

    #[test]
    fn garbage_is_never_a_verdict() {
        let html = |status| Reply {
            status,
            content_type: "text/html".into(),
            body: b"<html></html>".to_vec(),
            ..Reply::default()
        };
        for status in [200, 302, 403, 500] {
            assert_eq!(by_id(&html(status)), Err(Failure::Unreachable), "{status}");
        }
        for body in
            ["", "<ise_api/>", "<other><deviceList/></other>", "<!DOCTYPE x><ise_api><deviceList/></ise_api>", "{}"]
        {
            let reply = Reply { body: body.into(), ..reply("", "") };
            assert_eq!(by_id(&reply), Err(Failure::Unreachable), "{body}");
        }
        let forbidden = Reply { status: 403, ..Reply::default() };
        let complaint = judge_device(&forbidden, id(ID), asked()).expect_err("403");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("get_device_compliance"), "{}", complaint.sentence);
    }

    #[test]
    fn the_broad_list_is_read_page_by_page() {
        let page = reply("<paging_info>2</paging_info>", &device(ID, "true", "false", ""));
        let page = judge_noncompliant(&page).expect("it is right");
        assert_eq!((page.devices, page.next.as_deref()), (vec![id(ID)], Some("2")));
        for last in ["<paging_info>0</paging_info>", ""] {
            assert_eq!(judge_noncompliant(&reply(last, "")).expect("it is right").next, None, "{last}");
        }
    }

    /// Trap 8: the 503 of the broad list is no outage.
    #[test]
    fn a_broad_list_that_is_asked_too_often_is_throttled() {
        let refused = Reply { status: 503, content_type: "text/html".into(), ..Reply::default() };
        let complaint = judge_noncompliant(&refused).expect_err("503");
        assert_eq!(complaint.failure, Failure::Throttled);
        assert!(complaint.sentence.contains("four hours"), "{}", complaint.sentence);
        assert_eq!(by_id(&refused), Err(Failure::Unreachable), "a question about one device may be asked at any time");
    }

    #[test]
    fn it_says_where_users_are_sent() {
        let url = "<redirect_url>https://portal.manage.microsoft.com/networkaccesscontrol/index</redirect_url>";
        let about = judge_about(&reply(url, "")).expect("it is right");
        assert_eq!(
            about.redirect_url.as_deref(),
            Some("https://portal.manage.microsoft.com/networkaccesscontrol/index")
        );
    }
}
