//! `radmit probe`: one request as a NAS would send it, with the exit codes that Nagios understands.
//!
//! Owns the request and the verdict on its answer. It needs no configuration.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use crate::{
    clock,
    device::identifier::MacAddress,
    dictionary::{Dictionary, list},
    document::parse_duration,
    radius::{
        code::Code,
        kind,
        packet::Packet,
        request::{RequestBuffer, verify_reply},
        secret::Secret,
    },
};

use super::{nas, output};

/// The exit codes: those of a Nagios check.
const ACCEPTED: u8 = 0;
const REJECTED: u8 = 1;
const NO_ANSWER: u8 = 2;
const USAGE: u8 = 3;

/// Arguments of `radmit probe`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The server, as address or name, with the port if it is not 1812
    #[arg(long, value_name = "ADDRESS")]
    server: String,
    /// A file that holds the shared secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The MAC address to ask about, in any spelling
    #[arg(long, value_name = "MAC", default_value = "02-00-00-00-00-01")]
    mac: String,
    /// Ask only whether the server is alive (Status-Server)
    #[arg(long)]
    status: bool,
    /// How the device claims to be connected
    #[arg(long, value_name = "TYPE", default_value = "Ethernet")]
    nas_port_type: String,
    /// How long to wait for an answer, each time
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    timeout: String,
    /// How often to send the request
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    tries: u32,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match probe(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            output::complain(format!("radmit probe: {message}"));
            ExitCode::from(USAGE)
        }
    }
}

fn probe(arguments: &Arguments) -> Result<u8, String> {
    let server = nas::resolve(&arguments.server)?;
    let timeout = parse_duration(&arguments.timeout)
        .filter(|timeout| !timeout.is_zero())
        .ok_or("--timeout takes a duration such as 3s")?;
    let secret = nas::read_secret(&arguments.secret_file)?;
    let request = request(arguments, &secret)?;
    let packet = Packet::parse(&request).map_err(|broken| broken.sentence().to_owned())?;
    let from: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(from).map_err(|error| format!("no socket: {error}"))?;
    socket.connect(server).map_err(|error| format!("{server} can't be reached: {error}"))?;
    let started = clock::now().mono;
    for _ in 0..arguments.tries.max(1) {
        if socket.send(&request).is_ok()
            && let Some(reply) = wait_for_reply(&socket, &packet, &secret, timeout)
        {
            return Ok(report(&reply, clock::now().mono.since(started)));
        }
    }
    output::line(format!(
        "CRITICAL: {server} gave no answer; is it running, is this machine's address in a [[client]], is the secret right?"
    ));
    Ok(NO_ANSWER)
}

fn request(arguments: &Arguments, secret: &Secret) -> Result<Vec<u8>, String> {
    let mut authenticator = [0; 16];
    aws_lc_rs::rand::fill(&mut authenticator).map_err(|_| "the system gives no random numbers")?;
    let identifier = authenticator[0];
    let mut buffer = RequestBuffer::new();
    let full = |full: crate::radius::error::Full| full.sentence().to_owned();
    if arguments.status {
        buffer.start_request(Code::STATUS_SERVER, identifier, &authenticator);
        buffer.push(kind::NAS_IDENTIFIER, b"radmit-probe").map_err(full)?;
        return Ok(buffer.sign(secret).to_vec());
    }
    let mac = MacAddress::parse(arguments.mac.trim().as_bytes())
        .ok_or_else(|| format!("\"{}\" is no MAC address", arguments.mac))?;
    let medium = Dictionary::builtin()
        .attribute("NAS-Port-Type")
        .and_then(|attribute| attribute.value(&arguments.nas_port_type))
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| {
            format!("\"{}\" is no NAS-Port-Type; write Ethernet or Wireless-802.11", arguments.nas_port_type)
        })?;
    let user_name: String = mac.to_string().replace('-', "").to_lowercase();
    buffer.start_request(Code::ACCESS_REQUEST, identifier, &authenticator);
    buffer.push(kind::USER_NAME, user_name.as_bytes()).map_err(full)?;
    buffer.push_password(user_name.as_bytes(), secret).map_err(full)?;
    buffer.push_u32(kind::SERVICE_TYPE, 10).map_err(full)?;
    buffer.push_u32(kind::NAS_PORT_TYPE, medium).map_err(full)?;
    buffer.push(kind::CALLING_STATION_ID, mac.to_string().as_bytes()).map_err(full)?;
    buffer.push(kind::NAS_IDENTIFIER, b"radmit-probe").map_err(full)?;
    Ok(buffer.sign(secret).to_vec())
}

/// Waits until a datagram comes that really answers the request; everything else is passed over.
fn wait_for_reply(socket: &UdpSocket, request: &Packet<'_>, secret: &Secret, timeout: Duration) -> Option<Vec<u8>> {
    let until = clock::now().mono.plus(timeout);
    let mut octets = vec![0; crate::limits::PACKET_OCTETS_MAX];
    loop {
        let left = until.since(clock::now().mono);
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return None;
        }
        let Ok(length) = socket.recv(&mut octets) else {
            // The wait is over, or nobody listens at that port.
            return None;
        };
        let reply = octets.get(..length)?;
        if Packet::parse(reply).is_ok_and(|packet| verify_reply(&packet, request, secret).is_ok()) {
            return Some(reply.to_vec());
        }
    }
}

fn report(reply: &[u8], took: Duration) -> u8 {
    let Ok(packet) = Packet::parse(reply) else { return NO_ANSWER };
    let millis = took.as_secs_f64() * 1e3;
    let (word, code) = match packet.code() {
        Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE => ("OK", ACCEPTED),
        Code::ACCESS_REJECT => ("WARNING", REJECTED),
        _ => ("CRITICAL", NO_ANSWER),
    };
    output::line(format!("{word}: {} in {millis:.1} ms|time={millis:.3}ms", packet.code().name()));
    for line in list::print(Dictionary::builtin(), packet.attributes()).lines() {
        output::line(format!("    {line}"));
    }
    code
}
