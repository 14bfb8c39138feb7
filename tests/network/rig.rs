//! A broker with a listener for TLS, and the authority that its certificate comes from.

use std::net::SocketAddr;
use std::path::PathBuf;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::certificates::{
    Authority, Issued, LOCAL, TlsClient, broker_with_tls, tls_address,
};
use leveret_tests::deadline::wait_until;
use leveret_tests::raw_client::RawClient;
use tempfile::TempDir;

pub(crate) struct Rig {
    pub(crate) directory: TempDir,
    pub(crate) authority: Authority,
    pub(crate) broker: BrokerUnderTest,
}

impl Rig {
    /// With these lines beside those that switch TLS on.
    pub(crate) fn start(more: &str) -> Self {
        let (directory, authority, config) = prepared(|authority| authority.issue(&LOCAL));
        let broker = BrokerUnderTest::start_with(&format!("{config}{more}"));
        Self { directory, authority, broker }
    }

    /// With a certificate of the test's making.
    pub(crate) fn serving(issue: impl FnOnce(&Authority) -> Issued) -> Self {
        let (directory, authority, config) = prepared(issue);
        let broker = BrokerUnderTest::start_with(&config);
        Self { directory, authority, broker }
    }

    /// Where it speaks TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        tls_address(&self.broker.printed())
    }

    /// A client that trusts the broker.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.authority)
    }

    /// An open connection with channel 1.
    pub(crate) fn connect(&self, client: &TlsClient) -> RawClient {
        let mut connection = client.connect(self.address());
        connection.shake_hands(&self.broker.broker().handshake());
        connection.open_channel(1);
        connection
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until one line of the log has all of these.
    pub(crate) fn expect_line(&self, parts: &[&str]) {
        let is_there = |line: &str| parts.iter().all(|part| line.contains(part));
        wait_until(&format!("a line with {parts:?}"), || {
            self.broker.printed().lines().any(is_there)
        });
    }

    /// The client is refused, and a line says why.
    pub(crate) fn expect_refusal(&self, client: &TlsClient, parts: &[&str]) {
        let mut connection = client.connect(self.address());
        connection.try_send_bytes(b"AMQP\0\0\x09\x01");
        connection.expect_socket_closed(leveret_tests::deadline::PATIENCE);
        self.expect_line(parts);
    }
}

/// The lines that switch TLS on; files are in the directory.
pub(crate) fn prepared(issue: impl FnOnce(&Authority) -> Issued) -> (TempDir, Authority, String) {
    let authority = Authority::new("Test Authority");
    let (directory, config) = broker_with_tls(&authority, &issue(&authority));
    (directory, authority, config)
}
