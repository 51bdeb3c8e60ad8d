//! Microsoft Graph: the addresses that are asked and what their replies mean.
//!
//! Owns addresses and judgements as plain functions. It sends nothing.

use std::time::Duration;

use reqwest::Url;

use crate::{
    clock::{Mono, Wall},
    device::{
        identifier::{EntraId, IntuneId},
        question::Failure,
        record::{DeviceRecord, Origin},
    },
};

use super::{
    super::{
        cloud,
        explain::{self, Complaint},
        transport::Reply,
    },
    wire::{Batch, BatchPart, Envelope, FACTS, Page, Row},
};

/// How Graph is called in sentences.
pub(super) const GRAPH: &str = "Graph";

/// The permission that all of it needs.
pub(super) const PERMISSION: &str = "DeviceManagementManagedDevices.Read.All";

/// Requests in one batch. Source: Microsoft Graph, JSON batching.
pub(in super::super) const BATCH_PARTS_MAX: usize = 20;

/// Devices on a page that are asked for; Graph may send fewer.
const PAGE_ROWS: u16 = 999;

/// When and why an answer was asked for; it becomes part of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Mono,
    pub(super) origin: Origin,
}

/// The answer to a single GET.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Single {
    /// The device, with its Ethernet address.
    Device(Box<DeviceRecord>),
    /// Graph says that there is no such device. Counts only if the base is known to be right.
    Absent,
}

/// One part of a batch: who was asked for, and the answer.
pub(in super::super) type Part = (IntuneId, Result<Single, Complaint>);

/// One page of a list.
#[derive(Clone, Debug)]
pub(in super::super) struct ListPage {
    pub(in super::super) records: Vec<DeviceRecord>,
    /// Rows without an id, or with an error.
    pub(in super::super) broken_rows: usize,
    /// Where the next page is.
    pub(in super::super) next: Option<Url>,
}

/// One device. Only a single GET that names it gives `ethernetMacAddress`.
pub(super) fn device_url(base: &Url, id: IntuneId) -> Url {
    let mut url = devices_url(base);
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(&id.to_string());
    }
    url.set_query(Some(&format!("$select={FACTS},ethernetMacAddress")));
    url
}

/// The devices with an id of Entra. The id is a parsed GUID: no quote and no empty text can get into the filter.
pub(super) fn entra_url(base: &Url, id: EntraId) -> Url {
    let mut url = devices_url(base);
    url.set_query(Some(&format!("$filter=azureADDeviceId eq '{id}'&$select={FACTS}")));
    url
}

/// The first page of all devices.
pub(super) fn list_url(base: &Url) -> Url {
    let mut url = devices_url(base);
    url.set_query(Some(&format!("$top={PAGE_ROWS}&$select={FACTS}")));
    url
}

/// The first page of the devices that checked in after `since`.
pub(super) fn since_url(base: &Url, since: Wall) -> Url {
    let mut url = devices_url(base);
    let moment = jiff::Timestamp::from_second(since.as_secs()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    url.set_query(Some(&format!("$filter=lastSyncDateTime gt {moment}&$top={PAGE_ROWS}&$select={FACTS}")));
    url
}

/// The cheapest call that proves that the base is right and the permission is there.
pub(super) fn proof_url(base: &Url) -> Url {
    let mut url = devices_url(base);
    url.set_query(Some("$top=1&$select=id"));
    url
}

/// Where batches go.
pub(super) fn batch_url(base: &Url) -> Url {
    below(base, &["v1.0", "$batch"])
}

/// Single GETs of up to [`BATCH_PARTS_MAX`] devices; each part is named by its place.
pub(super) fn batch_body(ids: &[IntuneId]) -> Vec<u8> {
    let requests: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            serde_json::json!({
                "id": at.to_string(),
                "method": "GET",
                "url": format!("/deviceManagement/managedDevices/{id}?$select={FACTS},ethernetMacAddress"),
            })
        })
        .collect();
    serde_json::json!({ "requests": requests }).to_string().into_bytes()
}

fn devices_url(base: &Url) -> Url {
    below(base, &["v1.0", "deviceManagement", "managedDevices"])
}

pub(super) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    // Bases with and without a slash at the end, and with a path of their own, are all in use.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Judges the reply to a single GET of `id`.
pub(super) fn judge_single(reply: &Reply, id: IntuneId, asked: Asked) -> Result<Single, Complaint> {
    match reply.status {
        200 => {
            let row: Row<'_> = json(reply)?;
            let record = row.record(asked.at, asked.origin).filter(|_| !row.is_error());
            let record = record.ok_or_else(|| Complaint::garbage(GRAPH, reply, "no device in it"))?;
            if record.intune_id != id {
                return Err(Complaint::garbage(GRAPH, reply, "another device than was asked for"));
            }
            Ok(Single::Device(Box::new(record)))
        }
        404 if error_code(reply).is_some_and(|code| code == "ResourceNotFound") => Ok(Single::Absent),
        _ => Err(refusal(reply)),
    }
}

/// Judges one page of a list. `base`: further pages must come from there.
pub(super) fn judge_page(reply: &Reply, base: &Url, asked: Asked) -> Result<ListPage, Complaint> {
    if reply.status != 200 {
        return Err(refusal(reply));
    }
    let page: Page<'_> = json(reply)?;
    if page.error.is_some() {
        return Err(Complaint::garbage(GRAPH, reply, "an error in place of a list"));
    }
    let next = match page.next.plain() {
        None => None,
        Some(text) => {
            let url = Url::parse(text).ok().filter(|url| cloud::same_origin(url, base));
            Some(
                url.ok_or_else(|| Complaint::garbage(GRAPH, reply, "a next page on another host, which is not asked"))?,
            )
        }
    };
    let rows = page.value.0;
    let record = |row: &Row<'_>| row.record(asked.at, asked.origin).filter(|_| !row.is_error());
    let records: Vec<_> = rows.iter().filter_map(record).collect();
    Ok(ListPage { broken_rows: rows.len() - records.len(), records, next })
}

/// Judges the reply to a filter by an Entra id: the rows that have it, and how many have not.
pub(super) fn judge_entra(
    reply: &Reply,
    base: &Url,
    id: EntraId,
    asked: Asked,
) -> Result<(Vec<DeviceRecord>, usize), Complaint> {
    let page = judge_page(reply, base, asked)?;
    let all = page.records.len() + page.broken_rows;
    let fitting: Vec<_> = page.records.into_iter().filter(|record| record.entra_id == Some(id)).collect();
    let mismatched = all - fitting.len();
    if fitting.is_empty() && (mismatched > 0 || page.next.is_some()) {
        // A filter that was ignored returns everybody; that says nothing about the one who was asked for.
        return Err(Complaint::garbage(GRAPH, reply, "devices that were not asked for"));
    }
    Ok((fitting, mismatched))
}

/// Judges a batch: each part like a single GET, in the order of `ids`. A part that is missing is a complaint too.
pub(super) fn judge_batch(reply: &Reply, ids: &[IntuneId], asked: Asked) -> Result<Vec<Part>, Complaint> {
    if reply.status != 200 {
        return Err(refusal(reply));
    }
    let batch: Batch = json(reply)?;
    let parts: Vec<BatchPart<'_>> = batch.responses.iter().filter_map(BatchPart::read).collect();
    let judge = |(at, id): (usize, &IntuneId)| {
        let name = at.to_string();
        let part = parts.iter().find(|part| part.id == name);
        let judged = match part {
            Some(part) => judge_single(&part_reply(part), *id, asked),
            None => Err(Complaint::garbage(GRAPH, reply, "a part of the batch is missing")),
        };
        (*id, judged)
    };
    Ok(ids.iter().enumerate().map(judge).collect())
}

fn part_reply(part: &BatchPart<'_>) -> Reply {
    Reply {
        status: part.status(),
        content_type: "application/json".to_owned(),
        retry_after: part.header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs),
        offset_secs: None,
        body: part.body(),
    }
}

/// Judges the reply to [`proof_url`].
pub(super) fn judge_proof(reply: &Reply, base: &Url) -> Result<(), Complaint> {
    let asked = Asked { at: Mono::default(), origin: Origin::Lookup };
    judge_page(reply, base, asked).map(|_| ())
}

/// What a status means that is no answer about a device.
fn refusal(reply: &Reply) -> Complaint {
    let error = envelope(reply);
    match (reply.status, error) {
        (400, Some(error)) if error.error.is_unlicensed() => explain::unlicensed(GRAPH),
        (401, _) => explain::unauthorised(GRAPH),
        // A page of a proxy says 403 too, but not in Graph's words.
        (403, Some(_)) => explain::forbidden(GRAPH, PERMISSION),
        (404, Some(_) | None) => Complaint::garbage(GRAPH, reply, "not found, but not in the words for a device"),
        (400, Some(error)) => {
            let (code, text) = error.error.unwrapped();
            let said = format!("{} {}", explain::limited(&code), explain::limited(&text));
            Complaint::new(
                Failure::Unreachable,
                format!("Graph answered 400: {said}; this is a bug or a change of Graph's"),
            )
        }
        _ => Complaint::status(GRAPH, reply),
    }
}

/// The name of Graph's error, unwrapped.
fn error_code(reply: &Reply) -> Option<String> {
    envelope(reply).map(|envelope| envelope.error.unwrapped().0)
}

pub(super) fn envelope(reply: &Reply) -> Option<Envelope> {
    serde_json::from_slice(&reply.body).ok()
}

pub(super) fn json<'a, T: serde::Deserialize<'a>>(reply: &'a Reply) -> Result<T, Complaint> {
    // A portal answers 200 with a page of its own.
    if !reply.content_type.contains("json") {
        return Err(Complaint::garbage(GRAPH, reply, "not JSON"));
    }
    serde_json::from_slice(&reply.body).map_err(|_| Complaint::garbage(GRAPH, reply, "broken JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identifier::Guid;

    const ID: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";
    const OTHER: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c02";
    const ENTRA: &str = "c0ffee00-1234-4abc-8def-001122334455";

    fn asked() -> Asked {
        Asked { at: Mono::default(), origin: Origin::Lookup }
    }

    fn guid(text: &str) -> Guid {
        Guid::parse(text.as_bytes()).expect("it is one")
    }

    fn base() -> Url {
        Url::parse("https://graph.microsoft.com").expect("a URL")
    }

    fn reply(status: u16, body: impl Into<String>) -> Reply {
        Reply { status, content_type: "application/json".into(), body: body.into().into_bytes(), ..Reply::default() }
    }

    fn single(reply: &Reply) -> Result<Single, Failure> {
        judge_single(reply, IntuneId(guid(ID)), asked()).map_err(|complaint| complaint.failure)
    }

    fn error(code: &str, message: &str) -> String {
        let inner = serde_json::json!({ "_version": 3, "Message": message }).to_string();
        serde_json::json!({ "error": { "code": code, "message": inner, "innerError": {} } }).to_string()
    }

    fn row(id: &str, entra: &str) -> String {
        format!(r#"{{"id":"{id}","azureADDeviceId":"{entra}","complianceState":"compliant"}}"#)
    }

    /// Traps 2, 25 and 26: no empty values, no delta, nothing of the beta.
    #[test]
    fn addresses_are_as_graph_documents_them() {
        let url = device_url(&base(), IntuneId(guid(ID)));
        let expected = format!("https://graph.microsoft.com/v1.0/deviceManagement/managedDevices/{ID}?$select=id,");
        assert!(url.as_str().starts_with(&expected) && url.as_str().ends_with(",ethernetMacAddress"), "{url}");
        let url = entra_url(&base(), EntraId(guid(ENTRA)));
        assert!(url.as_str().contains(&format!("?$filter=azureADDeviceId%20eq%20%27{ENTRA}%27&$select=")), "{url}");
        let url = since_url(&base(), Wall::from_secs(1_767_315_600));
        assert!(url.as_str().contains("?$filter=lastSyncDateTime%20gt%202026-01-02T01:00:00Z&$top=999&"), "{url}");
        // Trap 3: the Ethernet address is null in lists, so it is not asked there.
        assert!(!url.as_str().contains("ethernetMacAddress"));
        for url in [list_url(&base()), since_url(&base(), Wall::default()), entra_url(&base(), EntraId(guid(ENTRA)))] {
            assert!(!url.as_str().contains("delta") && !url.as_str().contains("beta"), "{url}");
            assert!(!url.as_str().contains("eq%20%27%27") && !url.as_str().contains("managementState"), "{url}");
        }
        for odd in ["https://graph.microsoft.com/", "https://graph.microsoft.com//", "https://proxy.example/graph/"] {
            let url = proof_url(&Url::parse(odd).expect("a URL"));
            assert!(url.path().ends_with("/v1.0/deviceManagement/managedDevices"), "{url}");
        }
    }

    #[test]
    fn a_device_counts_only_if_it_is_the_one_that_was_asked_for() {
        assert!(matches!(single(&reply(200, row(ID, ENTRA))), Ok(Single::Device(_))));
        assert_eq!(single(&reply(200, row(OTHER, ENTRA))), Err(Failure::Unreachable));
        assert_eq!(single(&reply(200, r#"{"complianceState":"compliant"}"#)), Err(Failure::Unreachable));
    }

    /// Trap 11: only Graph's own words for a missing device mean that it is missing.
    #[test]
    fn not_found_counts_only_in_graphs_words() {
        assert_eq!(single(&reply(404, error("ResourceNotFound", "An error has occurred"))), Ok(Single::Absent));
        assert_eq!(single(&reply(404, error("Request_ResourceNotFound", "x"))), Err(Failure::Unreachable));
        assert_eq!(single(&reply(404, "<html>nothing here</html>")), Err(Failure::Unreachable));
        assert_eq!(single(&reply(404, "")), Err(Failure::Unreachable));
    }

    #[test]
    fn refusals_name_the_permission_or_the_licence() {
        let forbidden = reply(403, error("Forbidden", "Application is not authorized to perform this operation."));
        let complaint = judge_single(&forbidden, IntuneId(guid(ID)), asked()).expect_err("403");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("DeviceManagementManagedDevices.Read.All"), "{}", complaint.sentence);
        let unlicensed =
            reply(400, r#"{"error":{"code":"BadRequest","message":"Request not applicable to target tenant."}}"#);
        let complaint = judge_single(&unlicensed, IntuneId(guid(ID)), asked()).expect_err("400");
        assert_eq!(complaint.failure, Failure::Misconfigured);
        assert!(complaint.sentence.contains("licence"), "{}", complaint.sentence);
        assert_eq!(single(&reply(403, "<html>blocked by policy</html>")), Err(Failure::Unreachable));
        assert_eq!(single(&reply(400, error("BadRequest", "x"))), Err(Failure::Unreachable));
    }

    #[test]
    fn garbage_is_never_a_verdict() {
        let html = Reply { content_type: "text/html".into(), ..reply(200, row(ID, ENTRA)) };
        assert_eq!(single(&html), Err(Failure::Unreachable));
        for body in ["", "null", "[]", "{", "{\"id\":", r#"{"error":{"code":"x","message":"y"}}"#] {
            assert_eq!(single(&reply(200, body)), Err(Failure::Unreachable), "{body}");
        }
        let error_inside = format!(r#"{{"id":"{ID}","error":{{"code":"x","message":"y"}}}}"#);
        assert_eq!(single(&reply(200, error_inside)), Err(Failure::Unreachable));
        for (status, failure) in [
            (301, Failure::Unreachable),
            (429, Failure::Throttled),
            (504, Failure::Unreachable),
            (204, Failure::Unreachable),
        ] {
            assert_eq!(single(&reply(status, "")), Err(failure), "{status}");
        }
    }

    /// Trap 8: a 429 is known by its status, whatever its body is, with a time to wait or without.
    #[test]
    fn throttling_is_seen_whatever_its_body_is() {
        for (content_type, body) in [
            ("application/json", r#"{"error":{"code":"TooManyRequests","message":"x"}}"#),
            ("text/plain", "Too Many Requests"),
            ("text/html", "<html>429</html>"),
            ("application/json", "{\"error\":"),
            ("", ""),
        ] {
            for retry_after in [None, Some(Duration::from_secs(7))] {
                let reply = Reply { content_type: content_type.into(), retry_after, ..reply(429, body) };
                let complaints = [
                    judge_single(&reply, IntuneId(guid(ID)), asked()).map(|_| ()),
                    judge_page(&reply, &base(), asked()).map(|_| ()),
                    judge_batch(&reply, &[IntuneId(guid(ID))], asked()).map(|_| ()),
                ];
                for complaint in complaints {
                    let complaint = complaint.expect_err("429");
                    assert_eq!((complaint.failure, complaint.retry_after), (Failure::Throttled, retry_after), "{body}");
                }
            }
        }
    }

    /// Trap 1: a filter that is ignored returns strangers; nobody of them is taken, and nobody is denied.
    #[test]
    fn rows_that_were_not_asked_for_are_neither_taken_nor_a_no() {
        let judge = |body: String| judge_entra(&reply(200, body), &base(), EntraId(guid(ENTRA)), asked());
        let (rows, mismatched) =
            judge(format!(r#"{{"value":[{},{}]}}"#, row(ID, ENTRA), row(OTHER, OTHER))).expect("one fits");
        assert_eq!((rows.len(), mismatched, rows[0].intune_id.0), (1, 1, guid(ID)));
        assert_eq!(judge(r#"{"value":[]}"#.into()).expect("nobody").0, Vec::new());
        assert!(judge(format!(r#"{{"value":[{}]}}"#, row(OTHER, OTHER))).is_err());
        assert!(judge(r#"{"value":[],"@odata.nextLink":"https://graph.microsoft.com/x"}"#.into()).is_err());
    }

    /// Trap 11: an error under status 200 is never an empty list, from which a "no such device" would follow.
    #[test]
    fn an_error_beside_an_empty_list_is_no_answer() {
        for error in [r#"{"code":"UnknownError","message":"x"}"#, "{}", "\"x\""] {
            let reply = reply(200, format!(r#"{{"error":{error},"value":[]}}"#));
            let failed = |judged: Result<(), Complaint>| judged.expect_err("it is an error").failure;
            let entra = judge_entra(&reply, &base(), EntraId(guid(ENTRA)), asked());
            assert_eq!(failed(entra.map(|_| ())), Failure::Unreachable, "{error}");
            assert_eq!(failed(judge_page(&reply, &base(), asked()).map(|_| ())), Failure::Unreachable, "{error}");
            assert_eq!(failed(judge_proof(&reply, &base())), Failure::Unreachable, "{error}");
        }
        assert!(judge_page(&reply(200, r#"{"error":null,"value":[]}"#), &base(), asked()).is_ok());
        let row = format!(r#"{{"value":[{{"id":"{ID}","error":{{"code":"x"}}}}]}}"#);
        let page = judge_page(&reply(200, row), &base(), asked()).expect("the page is right");
        assert_eq!((page.records.len(), page.broken_rows), (0, 1));
    }

    /// Trap 12: the next page is fetched from the same host only.
    #[test]
    fn a_next_page_on_another_host_is_refused() {
        let judge = |next: &str| {
            let body = format!(r#"{{"@odata.count":1,"@odata.nextLink":"{next}","value":[{}]}}"#, row(ID, ENTRA));
            judge_page(&reply(200, body), &base(), asked())
        };
        let page = judge("https://graph.microsoft.com/v1.0/deviceManagement/managedDevices?$skiptoken=opaque-2")
            .expect("it is right");
        assert_eq!(page.next.as_ref().and_then(Url::query), Some("$skiptoken=opaque-2"));
        for stranger in
            ["https://evil.example/x", "http://graph.microsoft.com/x", "https://graph.microsoft.com:444/x", "/relative"]
        {
            assert!(judge(stranger).is_err(), "{stranger}");
        }
    }

    /// Trap 24: parts come in any order, and a batch that is right as a whole may hide refusals.
    #[test]
    fn each_part_of_a_batch_is_judged_by_itself() {
        let body = format!(
            r#"{{"responses":[{{"id":"1","status":429,"headers":{{"Retry-After":"7"}},"body":{{"error":{{"code":"TooManyRequests","message":"x"}}}}}},
               {{"id":"0","status":200,"headers":{{}},"body":{}}}]}}"#,
            row(ID, ENTRA)
        );
        let ids = [ID, OTHER, ENTRA].map(|text| IntuneId(guid(text)));
        let judged = judge_batch(&reply(200, body), &ids, asked()).expect("the batch is right");
        assert!(matches!(&judged[0], (id, Ok(Single::Device(_))) if *id == ids[0]));
        let complaint = judged[1].1.as_ref().expect_err("429");
        assert_eq!((complaint.failure, complaint.retry_after), (Failure::Throttled, Some(Duration::from_secs(7))));
        assert!(judged[2].1.is_err(), "it is missing");
        let sent: serde_json::Value = serde_json::from_slice(&batch_body(&ids)).expect("JSON");
        assert_eq!(sent["requests"][1]["id"], "1");
    }

    /// Trap 24: a part that is odd spoils only itself.
    #[test]
    fn an_odd_part_of_a_batch_spoils_no_other() {
        let ids = [ID, OTHER, ENTRA].map(|text| IntuneId(guid(text)));
        for (odd, is_device) in [
            (format!(r#"{{"id":"1","status":200,"headers":null,"body":{}}}"#, row(OTHER, ENTRA)), true),
            (format!(r#"{{"id":1,"status":200,"headers":{{"x":[7]}},"body":{}}}"#, row(OTHER, ENTRA)), true),
            (r#"{"id":"1","status":200}"#.to_owned(), false),
            (r#"{"id":"1","status":"200","headers":7,"body":7}"#.to_owned(), false),
            (r#"{"id":null}"#.to_owned(), false),
            ("null".to_owned(), false),
        ] {
            let good = |at: usize, id| format!(r#"{{"id":"{at}","status":200,"body":{}}}"#, row(id, OTHER));
            let body = format!(r#"{{"responses":[{},{odd},{}]}}"#, good(2, ENTRA), good(0, ID));
            let judged = judge_batch(&reply(200, body), &ids, asked()).expect("the batch is right");
            let devices: Vec<bool> = judged.iter().map(|(_, part)| matches!(part, Ok(Single::Device(_)))).collect();
            assert_eq!(devices, [true, is_device, true], "{odd}");
        }
    }
}
