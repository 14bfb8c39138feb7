//! From an accepted socket to an open connection: protocol header, start, tune, open.
//!
//! Called once per connection, under the handshake time limit. Nothing of a connection exists for
//! the rest of the broker before `open` succeeded, so no half-open client is ever seen. Rules and
//! texts are RabbitMQ's (`authentication_failure_close` included).
//! Specification: AMQP 0-9-1 §2.2.4, connection class.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use leveret_protocol::constants::FRAME_MIN_SIZE;
use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::write_method;
use leveret_protocol::frame::{Frame, FrameKind};
use leveret_protocol::methods::{Method, MethodFrame, connection};
use leveret_protocol::protocol_header::{PROTOCOL_HEADER, is_accepted};
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

use super::arrival::Arrived;
use crate::auth::authority::Admitted;
use crate::auth::sasl;
use crate::broker::Broker;
use crate::broker::admission::Reached;
use crate::encryption::Encryption;
use crate::error::{ConnectionError, FailingMethod};
use crate::events::clients::Connection as About;
use crate::keys::ConnectionId;
use crate::proxy_protocol::Ends;
use crate::session::close;
use crate::session::context::{ClientCapabilities, LoggedIn};
use crate::transport::{Socket, Source};
use crate::vhost::Vhost;

/// What was agreed on.
#[derive(Debug)]
pub(crate) struct Negotiated {
    /// The vhost.
    pub vhost: Arc<Vhost>,
    /// Who is logged in.
    pub login: LoggedIn,
    /// What the client understands.
    pub capabilities: ClientCapabilities,
    /// Most channels; 0 is no limit.
    pub channel_max: u16,
    /// Largest frame in bytes; 0 is no limit.
    pub frame_max: u32,
    /// Heartbeat interval in seconds; 0 is none.
    pub heartbeat_seconds: u16,
    /// The name the client gave its connection, if it did.
    pub name: Option<String>,
    /// What events tell of it.
    pub about: About,
}

impl Negotiated {
    /// Why the connection has to go at once, if it has: its user or its vhost was deleted meanwhile.
    pub(super) fn reason_to_leave(&self) -> Option<String> {
        let LoggedIn { user, rights, .. } = &self.login;
        if rights.is_over() {
            return Some(format!("user '{user}' is deleted"));
        }
        self.vhost.is_closed().then(|| self.vhost.reason_to_leave())
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The socket ended or failed.
    Gone,
    /// The client does not speak this protocol; it was told which one is spoken.
    BadHeader([u8; 8]),
    /// An error that the client is told.
    Told(ConnectionError, FailingMethod),
    /// An error that a client without `authentication_failure_close` learns by silence.
    Silent(ConnectionError),
}

impl Refused {
    fn silenced(self) -> Self {
        match self {
            Self::Told(error, _) => Self::Silent(error),
            other @ (Self::Gone | Self::BadHeader(_) | Self::Silent(_)) => other,
        }
    }
}

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<leveret_protocol::error::DecodeError> for Refused {
    fn from(error: leveret_protocol::error::DecodeError) -> Self {
        Self::Told(error.into(), FailingMethod::default())
    }
}

/// Runs the handshake. The input keeps what the client sent beyond it.
pub(super) async fn run(arrived: &mut Arrived, broker: &Broker) -> Result<Negotiated, Refused> {
    let Arrived { socket, ends, encryption, input } = arrived;
    let encryption = encryption.as_ref();
    let frame_max = broker.limits().initial_frame_max;
    let mut wire = Wire { socket, ends: *ends, encryption, input, frame_max };
    wire.protocol_header().await?;
    let told = broker.introduction().now();
    wire.send(&connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: RawTable::new(&told.server_properties),
        mechanisms: broker.mechanisms(encryption.is_some()).as_bytes(),
        locales: b"en_US",
    })
    .await?;
    drop(told);
    let (login, capabilities, name, about) = wire.authenticate(broker).await?;
    let limits = broker.limits();
    wire.send(&connection::Tune {
        channel_max: limits.channel_max,
        frame_max: limits.frame_max,
        heartbeat: limits.heartbeat_seconds,
    })
    .await?;
    let tuned = wire.tune_ok(broker).await?;
    wire.frame_max = tuned.frame_max;
    let (vhost, login) = wire.open(broker, login).await?;
    wire.send(&connection::OpenOk {}).await?;
    let Tuned { channel_max, frame_max, heartbeat_seconds } = tuned;
    Ok(Negotiated {
        vhost,
        login,
        capabilities,
        channel_max,
        frame_max,
        heartbeat_seconds,
        name,
        about,
    })
}

struct Tuned {
    channel_max: u16,
    frame_max: u32,
    heartbeat_seconds: u16,
}

struct Wire<'a> {
    socket: &'a mut Socket,
    ends: Ends,
    encryption: Option<&'a Encryption>,
    input: &'a mut BytesMut,
    frame_max: u32,
}

impl Wire<'_> {
    async fn protocol_header(&mut self) -> Result<(), Refused> {
        while self.input.len() < PROTOCOL_HEADER.len() {
            self.read().await?;
        }
        let mut header = [0; 8];
        self.input.copy_to_slice(&mut header);
        if is_accepted(&header) {
            return Ok(());
        }
        self.socket.write_all(&PROTOCOL_HEADER).await?;
        Err(Refused::BadHeader(header))
    }

    async fn authenticate(
        &mut self,
        broker: &Broker,
    ) -> Result<(Admitted, ClientCapabilities, Option<String>, About), Refused> {
        // Before the login nothing is told to whoever cannot speak: only silence follows.
        let frame = self.method_frame().await.map_err(Refused::silenced)?;
        let method =
            Method::decode(payload(&frame)).map_err(|error| Refused::from(error).silenced())?;
        let Method::ConnectionStartOk(start_ok) = method else {
            return Err(out_of_order("starting", &method));
        };
        let properties = start_ok.client_properties.parse()?;
        let capabilities = client_capabilities(&properties);
        let refuse = |error| {
            if capabilities.authentication_failure_close {
                return Refused::Told(error, FailingMethod::default());
            }
            Refused::Silent(error)
        };
        let offered = broker.mechanisms(self.encryption.is_some());
        if !offered.split(' ').any(|known| known == start_ok.mechanism) {
            let text = format!("unknown authentication mechanism '{}'", start_ok.mechanism);
            return Err(Refused::Silent(ConnectionError::CommandInvalid(text)));
        }
        let peer = self.ends.peer;
        let certificate = self.encryption.and_then(|encryption| encryption.certificate.as_ref());
        let named = certificate.map(|certificate| certificate.user.as_deref());
        let claim = sasl::parse(start_ok.mechanism, start_ok.response, named)
            .map_err(|error| Refused::Silent(ConnectionError::CommandInvalid(error.to_string())))?;
        let about = self.about(&start_ok);
        let name = claim.user().to_owned();
        let admitted = broker.logins().admit(broker.users(), &claim, peer.ip()).await.map_err(|refusal| {
            broker.events().tell(|| about.refused(&name, &claim.event_reason()));
            broker.events().tell(|| about.closed(ConnectionId::next()));
            refusal.log(&about.name, &name, start_ok.mechanism);
            refuse(ConnectionError::AccessRefused(format!(
                "Login was refused using authentication mechanism {}. For details see the broker logfile.",
                start_ok.mechanism
            )))
        })?;
        broker.events().tell(|| about.authenticated(&admitted.name));
        Ok((admitted, capabilities, connection_name(&properties), about))
    }

    fn about(&self, start_ok: &connection::StartOk<'_>) -> About {
        let Ends { peer, local } = self.ends;
        About {
            name: format!("{peer} -> {local}").into(),
            peer,
            local,
            mechanism: start_ok.mechanism.into(),
            properties: start_ok.client_properties.as_bytes().into(),
            encryption: self.encryption.cloned(),
        }
    }

    async fn tune_ok(&mut self, broker: &Broker) -> Result<Tuned, Refused> {
        let frame = self.method_frame().await?;
        let method = Method::decode(payload(&frame))?;
        let Method::ConnectionTuneOk(tune_ok) = method else {
            return Err(out_of_order("tuning", &method));
        };
        let limits = broker.limits();
        let channel_max = u64::from(tune_ok.channel_max);
        negotiate("channel_max", channel_max, u64::from(limits.channel_max), 0)?;
        let least = u64::from(FRAME_MIN_SIZE);
        negotiate("frame_max", u64::from(tune_ok.frame_max), u64::from(limits.frame_max), least)?;
        Ok(Tuned {
            channel_max: tune_ok.channel_max,
            frame_max: tune_ok.frame_max,
            heartbeat_seconds: tune_ok.heartbeat,
        })
    }

    async fn open(
        &mut self,
        broker: &Broker,
        login: Admitted,
    ) -> Result<(Arc<Vhost>, LoggedIn), Refused> {
        let frame = self.method_frame().await?;
        let method = Method::decode(payload(&frame))?;
        let Method::ConnectionOpen(open) = method else {
            return Err(out_of_order("opening", &method));
        };
        let failing = FailingMethod {
            class_id: connection::Open::CLASS_ID,
            method_id: connection::Open::METHOD_ID,
        };
        let refuse = |text| Refused::Told(ConnectionError::NotAllowed(text), failing);
        let most = broker.limits().connections;
        if let Some(limit) = most
            && broker.connection_count() >= limit
        {
            return Err(refuse(format!(
                "connection refused: node connection limit ({limit}) is reached"
            )));
        }
        let name = open.virtual_host;
        let vhost = broker.vhost(name).ok_or_else(|| refuse(format!("vhost {name} not found")))?;
        let user = login.name.clone();
        let limits = broker.users().limits(&user);
        let in_vhost = (name, vhost.own_limits().max_connections);
        let admission = broker.admissions().enter(in_vhost, (&user, limits.max_connections));
        let admission = admission.map_err(|reached| match reached {
            Reached::Vhost(limit) => refuse(format!(
                "access to vhost '{name}' refused for user '{user}': connection limit ({limit}) is \
                 reached"
            )),
            Reached::User(limit) => refuse(format!(
                "connection refused for user '{user}': user connection limit ({limit}) is reached"
            )),
        })?;
        let entered = login.enter(broker.users(), name, self.ends.peer.ip()).await;
        let rights = entered.map_err(|more| {
            refuse(format!("access to vhost '{name}' refused for user '{user}'{more}"))
        })?;
        let may_impersonate = login.has_tag("impersonator");
        let admission = Arc::new(admission);
        Ok((vhost, LoggedIn { user, may_impersonate, rights, admission }))
    }

    async fn send<M: MethodFrame>(&mut self, method: &M) -> Result<(), Refused> {
        let mut out = Vec::new();
        write_method(&mut out, 0, method);
        self.socket.write_all(&out).await?;
        Ok(())
    }

    /// The next method frame, whole; heartbeats are passed over.
    async fn method_frame(&mut self) -> Result<BytesMut, Refused> {
        loop {
            let payload_max = self.frame_max.saturating_sub(8);
            if let Some(Frame { kind, channel, payload }) = decode_frame(self.input, payload_max)? {
                let length = payload.len() + 8;
                let bytes = self.input.split_to(length);
                match kind {
                    FrameKind::Heartbeat => continue,
                    FrameKind::Method if channel == 0 => return Ok(bytes),
                    FrameKind::Method | FrameKind::Header | FrameKind::Body => {
                        let text = "unexpected frame during the handshake".to_owned();
                        let error = ConnectionError::UnexpectedFrame(text);
                        return Err(Refused::Told(error, FailingMethod::default()));
                    }
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Refused> {
        self.input.reserve(READ_SIZE);
        match self.socket.read_buf(self.input).await? {
            0 => Err(Refused::Gone),
            _ => Ok(()),
        }
    }
}

const READ_SIZE: usize = 1024;

fn payload(frame: &BytesMut) -> &[u8] {
    let end = frame.len().saturating_sub(1);
    frame.get(7..end).unwrap_or_default()
}

/// A value the client chose: not above the server's, not "no limit" unless the server has none, and
/// not below what the protocol needs.
fn negotiate(what: &str, chosen: u64, server: u64, least: u64) -> Result<(), Refused> {
    let text = if server != 0 && chosen == 0 {
        format!(
            "negotiated {what} = 0 (no limit) is higher than the maximum allowed value ({server})"
        )
    } else if server != 0 && chosen > server {
        format!("negotiated {what} = {chosen} is higher than the maximum allowed value ({server})")
    } else if chosen != 0 && chosen < least {
        format!("negotiated {what} = {chosen} is lower than the minimum allowed value ({least})")
    } else {
        return Ok(());
    };
    let failing = FailingMethod {
        class_id: connection::TuneOk::CLASS_ID,
        method_id: connection::TuneOk::METHOD_ID,
    };
    Err(Refused::Told(ConnectionError::NotAllowed(text), failing))
}

fn out_of_order(state: &str, method: &Method<'_>) -> Refused {
    let text = format!("unexpected method in connection state {state}");
    let failing = FailingMethod { class_id: method.class_id(), method_id: method.method_id() };
    Refused::Told(ConnectionError::Channel(text), failing)
}

fn client_capabilities(properties: &FieldTable) -> ClientCapabilities {
    let Some(FieldValue::Table(table)) = properties.get("capabilities") else {
        return ClientCapabilities::default();
    };
    let has = |name| matches!(table.get(name), Some(FieldValue::Bool(true)));
    ClientCapabilities {
        consumer_cancel_notify: has("consumer_cancel_notify"),
        connection_blocked: has("connection.blocked"),
        authentication_failure_close: has("authentication_failure_close"),
    }
}

fn connection_name(properties: &FieldTable) -> Option<String> {
    properties.get("connection_name").and_then(FieldValue::as_str).map(str::to_owned)
}

/// Tells the client why there is no connection.
pub(super) async fn tell(
    socket: &mut Socket,
    error: &ConnectionError,
    method: FailingMethod,
) -> String {
    let mut out = Vec::new();
    let text = close::close_connection(&mut out, error, method);
    // The client may be gone: then there is nobody to tell.
    let _ = socket.write_all(&out).await;
    text
}
