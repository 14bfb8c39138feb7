//! Whether somebody answers at ports: connection.start where AMQP is spoken plainly, and any listener
//! elsewhere.
//!
//! A room of `check`. With ports that somebody names, no broker is asked where it listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::verdict::{Datum, Found, Levels, Status};
use crate::clock;
use crate::ctl::client::{Client, Place};
use crate::ctl::failure::Failed;
use crate::ctl::fields::{list, number, text};
use crate::healthcheck;

/// How long a listener may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

/// Checks those that are named, or all that the broker has.
pub(super) fn check(
    client: &Client,
    host: Option<&str>,
    ports: &[u16],
) -> Result<Vec<Found>, Failed> {
    let host = host.map_or_else(|| host_of(client), str::to_owned);
    if !ports.is_empty() {
        // What is spoken there nobody says: a port of AMQP by its number, or any listener.
        return Ok(ports.iter().map(|port| at(client, &host, *port, is_amqp(*port))).collect());
    }
    let overview = client.get("/overview?columns=listeners")?;
    let found = list(&overview, "listeners").iter().map(|listener| {
        let port = u16::try_from(number(listener, "port")).unwrap_or_default();
        let address: Option<IpAddr> = text(listener, "ip_address").parse().ok();
        let address = address.filter(|address| !address.is_unspecified());
        let host = address.map_or_else(|| host.clone(), |address| address.to_string());
        at(client, &host, port, text(listener, "protocol") == "amqp")
    });
    Ok(found.collect())
}

/// Other ports may have TLS, or the API.
fn is_amqp(port: u16) -> bool {
    !matches!(port, 5671 | 15671 | 15672 | 15691 | 15692)
}

fn host_of(client: &Client) -> String {
    match client.place() {
        Place::Socket(_) => Ipv4Addr::LOCALHOST.to_string(),
        Place::Url(url, _) => url.host().to_owned(),
    }
}

fn at(client: &Client, host: &str, port: u16, with_amqp: bool) -> Found {
    let began = clock::steady_nanos();
    let answered = answers(client, host, port, with_amqp);
    let micros = clock::steady_nanos().saturating_sub(began) / 1000;
    let seconds = format!("{}.{:06}s", micros / 1_000_000, micros % 1_000_000);
    match answered {
        Ok(()) => {
            let datum = Datum::written(&format!("port_{port}"), &seconds, Levels::default());
            Found::new(Status::Ok, format!("port {port} answers")).with([datum])
        }
        Err(reason) => Found::new(Status::Critical, format!("port {port}: {reason}")),
    }
}

fn answers(client: &Client, host: &str, port: u16, with_amqp: bool) -> Result<(), String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut failure = format!("{host} has no address");
    for address in addresses {
        let answered = match with_amqp {
            true => client.wait(healthcheck::check_at(address)).map_err(|error| error.to_string()),
            false => connect(address),
        };
        match answered {
            Ok(()) => return Ok(()),
            Err(reason) => failure = reason,
        }
    }
    Err(failure)
}

fn connect(address: SocketAddr) -> Result<(), String> {
    TcpStream::connect_timeout(&address, CONNECT)
        .map(drop)
        .map_err(|error| format!("{address}: {error}"))
}
