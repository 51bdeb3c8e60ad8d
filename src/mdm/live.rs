//! One question to one server, outside of any running worker: what `radmit lookup` and `radmit doctor` show.
//!
//! Owns the building of a client that knows nothing yet. How a lookup goes is the client's business.

use std::sync::Arc;

use crate::{
    clock,
    device::{
        directory::{Capacity, Directory, Match, Told},
        identifier::{EntraId, IntuneId, MacAddress},
        question::{Failure, Key, Medium, Outcome},
        record::Origin,
    },
    metrics::mdm::ServerCells,
};

use super::{
    intake::Intake,
    intune::{
        client::{Client, Errand},
        lookup::{Looked, Terms},
    },
    inventory::read_devices,
    line::Payment,
    settings::{Api, Intune, Kind, Settings},
    spare_time::SpareTime,
    standing::Standing,
    worker::connect,
};

/// Pages of the list that are searched for a MAC address: about 100,000 devices.
const PAGES_SEARCHED_MAX: usize = 100;

/// What a server says about one key now.
#[derive(Clone, Debug)]
pub struct LiveAnswer {
    /// What came of it.
    pub outcome: Outcome,
    /// The interface that knew it.
    pub api: Option<Api>,
    /// By which name it was found, in words.
    pub found_by: Option<&'static str>,
    /// Why there is no usable answer, and what to do.
    pub why: Option<String>,
}

/// Asks a server about `key`. Needs a tokio runtime.
///
/// # Errors
/// A sentence: which setting can't be used.
pub async fn look_up(settings: &Settings, key: Key) -> Result<LiveAnswer, String> {
    match &settings.kind {
        Kind::Intune(intune) => {
            let client = client(settings, intune, &Arc::default())?;
            Ok(ask(&client, settings, key).await)
        }
        Kind::Inventory(inventory) => {
            let devices = read_devices(&inventory.file)?;
            let (directory, now) = (Directory::new(capacity()), clock::now());
            for device in devices {
                directory.insert(device.record(now, Origin::Lookup), Told::Everything);
            }
            let found = match key {
                Key::Device(guid) => match directory.find(IntuneId(guid)) {
                    Some(record) => Match::One(record),
                    None => directory.find_by_entra_id(now, EntraId(guid)),
                },
                Key::Mac(mac) => directory.find_by_mac(now, mac),
            };
            let outcome = match found {
                Match::One(record) => Outcome::Found(record),
                Match::Ambiguous(_) => Outcome::Ambiguous,
                Match::Nobody => Outcome::NotFound,
            };
            Ok(LiveAnswer { outcome, api: None, found_by: None, why: None })
        }
    }
}

/// A client with an empty directory of its own.
pub(super) fn client(settings: &Settings, intune: &Intune, metrics: &Arc<ServerCells>) -> Result<Arc<Client>, String> {
    let directory = Arc::new(Directory::new(capacity()));
    let intake = Arc::new(Intake::new(settings, directory, Arc::clone(metrics)));
    let client = connect(settings, intune, intake, Arc::clone(metrics), &Standing::default(), SpareTime::none())?;
    client.line().begin(intune.requests_per_second);
    Ok(client)
}

fn capacity() -> Capacity {
    Capacity { outside: 16, ..Capacity::default() }
}

/// Asks through `client`. A MAC address that nobody else can tell is searched in the list.
pub(super) async fn ask(client: &Arc<Client>, settings: &Settings, key: Key) -> LiveAnswer {
    let terms =
        Terms { deadline: clock::now().mono.plus(settings.lookup_timeout.saturating_mul(4)), payment: Payment::Inline };
    let mut looked = client.look_up(key, None, terms).await;
    if let (Key::Mac(mac), Outcome::Failed(Failure::NotReady)) = (key, &looked.outcome) {
        looked = search_list(client, mac, terms).await.unwrap_or(looked);
    }
    LiveAnswer {
        outcome: looked.outcome,
        api: looked.api,
        found_by: looked.query.map(super::intune::lookup::Query::name),
        why: looked.complaint.map(|complaint| complaint.sentence.to_string()),
    }
}

/// Wi-Fi addresses only: lists never tell the others. Read to the end: a second device with the address may come last, and
/// is judged as the server would.
async fn search_list(client: &Arc<Client>, mac: MacAddress, terms: Terms) -> Option<Looked> {
    if !client.uses(Api::Graph) {
        return None;
    }
    let (mut next, mut is_found) = (Some(client.list_url()), false);
    for _ in 0..PAGES_SEARCHED_MAX {
        let Some(url) = next else { break };
        let page = match client.graph_page(&mut Errand::background(), url).await {
            Ok(page) => page,
            Err(complaint) => return Some(Looked::failed(complaint)),
        };
        for record in page.records.into_iter().filter(|record| record.wifi_mac == Some(mac)) {
            is_found = true;
            client.intake().keep(record, Told::AllButEthernet);
        }
        next = page.next;
    }
    if !is_found {
        return None;
    }
    // The list may have taken longer than a lookup may.
    let deadline = terms.deadline.max(clock::now().mono.plus(client.lookup_timeout()));
    Some(client.look_up(Key::Mac(mac), Some(Medium::Wireless), Terms { deadline, ..terms }).await)
}
