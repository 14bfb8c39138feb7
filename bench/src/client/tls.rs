//! The socket of a connection, with or without TLS.
//!
//! Owned by `link`, which is told the same of both: how many bytes came or went, and `WouldBlock` when
//! the socket has or takes no more. Keys of the URL say whom to trust, as RabbitMQ's do
//! (<https://www.rabbitmq.com/docs/uri-query-parameters>).

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read from the socket at once.
const READ_SIZE: usize = 64 * 1024;

/// Whom an `amqps://` connection trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Whoever shows a certificate of these authorities, in PEM, for the name connected to.
    Authorities(PathBuf),
    /// Whoever answers.
    Anybody,
}

/// A socket.
#[derive(Debug)]
pub(crate) enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<Encrypted>),
}

/// A socket with TLS.
#[derive(Debug)]
pub(crate) struct Encrypted {
    socket: BufReader<TcpStream>,
    session: ClientConnection,
    /// Bytes that were encrypted and not told written yet; whoever tries again brings them again.
    owed: usize,
    blocking: bool,
}

impl Wire {
    /// With TLS, of which nothing was said yet.
    pub(crate) fn encrypted(socket: TcpStream, host: &str, trust: &Trust) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = Arc::new(client(trust)?);
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let socket = BufReader::with_capacity(READ_SIZE, socket);
        Ok(Self::Tls(Box::new(Encrypted { socket, session, owed: 0, blocking: true })))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(encrypted) => encrypted.socket.get_ref(),
        }
    }

    pub(crate) fn set_blocking(&mut self, blocking: bool) -> io::Result<()> {
        if let Self::Tls(encrypted) = self {
            encrypted.blocking = blocking;
        }
        self.socket().set_nonblocking(!blocking)
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(encrypted) => encrypted.read(bytes),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(encrypted) => encrypted.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Encrypted {
    /// Reads until there is no room or nothing more comes; when it may wait, until something came.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let room = bytes.get_mut(count..).unwrap_or_default();
            if room.is_empty() {
                return Ok(count);
            }
            match self.session.reader().read(room) {
                Ok(0) => return Ok(count),
                Ok(more) => {
                    count += more;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if count > 0 && self.blocking {
                return Ok(count);
            }
            match self.session.read_tls(&mut self.socket) {
                Ok(0) => return Ok(count),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && count > 0 => {
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            self.shake_hands()?;
        }
    }

    /// The handshake runs while the socket may be waited for.
    fn shake_hands(&mut self) -> io::Result<()> {
        while self.blocking && self.session.wants_write() {
            self.session.write_tls(self.socket.get_mut())?;
        }
        Ok(())
    }

    /// Writes as much as the socket takes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.session.is_handshaking() {
            self.session.complete_io(&mut Both(&mut self.socket))?;
        }
        let mut count = 0;
        loop {
            while self.session.wants_write() {
                match self.session.write_tls(self.socket.get_mut()) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock && count > 0 => {
                        return Ok(count);
                    }
                    Err(error) => return Err(error),
                }
            }
            count += std::mem::take(&mut self.owed);
            match bytes.get(count..) {
                None | Some([]) => return Ok(count),
                Some(rest) => self.owed = self.session.writer().write(rest)?,
            }
        }
    }
}

/// Both directions of a socket whose reads are buffered.
struct Both<'a>(&'a mut BufReader<TcpStream>);

impl Read for Both<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client(trust: &Trust) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let builder = match trust {
        Trust::Authorities(path) => {
            let mut roots = RootCertStore::empty();
            let wrong = |error| io::Error::other(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(wrong)? {
                roots.add(certificate.map_err(wrong)?).map_err(io::Error::other)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified))
        }
    };
    Ok(builder.with_no_client_auth())
}

/// Takes every certificate.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
