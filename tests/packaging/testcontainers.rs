//! What the modules of Testcontainers do to an image of RabbitMQ: the variables they set, the files they
//! put there, and what they wait for in its log.

use leveret_tests::certificates::{Authority, LOCAL, TlsClient};
use leveret_tests::raw_client::method::connection;
use leveret_tests::raw_client::{Handshake, RawClient};

use super::container::Container;

/// Java, the class of version 2 and the old one: both users, and a pattern that has to come once.
#[test]
fn java_waits_for_one_line_and_logs_in_as_guest() {
    let container = Container::new()
        .with("RABBITMQ_DEFAULT_USER", "guest")
        .with("RABBITMQ_DEFAULT_PASS", "guest");
    let running = container.start();
    let ready =
        running.log().iter().filter(|line| line.contains("Server startup complete")).count();
    assert_eq!(ready, 1);
    drop(running.connect("guest", "guest"));
    assert!(running.stop().success());
}

/// Java: `withRabbitMQConfigSysctl` and `withRabbitMQConfigErlang`, whose tests want to read the word.
#[test]
fn java_brings_files_of_both_forms() {
    for (name, text) in [
        ("rabbitmq-custom.conf", "log.console.level = debug\n"),
        ("rabbitmq-custom.config", "[{rabbit,[{log,[{console,[{level, debug}]}]}]}].\n"),
    ] {
        // Some versions leave the ending out.
        for variable in [name, "rabbitmq-custom"] {
            let container = Container::new()
                .with_file(name, text)
                .with_file_variable("RABBITMQ_CONFIG_FILE", variable);
            container.start().assert_logged("debug");
        }
    }
}

/// Java, the old class: `withSSL` sets variables on which RabbitMQ's image ends with 1.
#[test]
fn java_switches_tls_on_by_variables() {
    let authority = Authority::new("Authority");
    let certificate = authority.issue(&LOCAL);
    let container = Container::new()
        .with_file("ca.pem", &authority.pem)
        .with_file("cert.pem", &certificate.chain)
        .with_file("key.pem", &certificate.key)
        .with_file_variable("RABBITMQ_SSL_CACERTFILE", "ca.pem")
        .with_file_variable("RABBITMQ_SSL_CERTFILE", "cert.pem")
        .with_file_variable("RABBITMQ_SSL_KEYFILE", "key.pem")
        .with("RABBITMQ_SSL_VERIFY", "verify_peer")
        .with("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", "true")
        .with("RABBITMQ_SSL_DEPTH", "1")
        .with("LEVERET_LISTENERS_SSL_DEFAULT", "0");
    let running = container.start();
    let mut client = TlsClient::trusting(&authority)
        .showing(authority.issue(&LOCAL))
        .connect(running.address(r"TLS (SSL)"));
    client.shake_hands(&Handshake::plain("guest", "guest"));
    client.open_channel(1);
}

/// Python: reads no log, and connects until it can.
#[test]
fn python_names_port_user_and_vhost() {
    let container = Container::new()
        .without("LEVERET_LISTENERS_TCP_DEFAULT")
        .with("RABBITMQ_NODE_PORT", "0")
        .with("RABBITMQ_DEFAULT_USER", "python")
        .with("RABBITMQ_DEFAULT_PASS", "secret")
        .with("RABBITMQ_DEFAULT_VHOST", "/");
    drop(container.start().connect("python", "secret"));
}

/// Go: a file of its own, readable by all, beside the variables.
#[test]
fn go_brings_a_file_with_the_user() {
    let container = Container::new()
        .with_file("rabbitmq-testcontainers.conf", "default_user = go\ndefault_pass = secret\n")
        .with_file_variable("RABBITMQ_CONFIG_FILE", "rabbitmq-testcontainers.conf")
        .with("RABBITMQ_DEFAULT_USER", "go")
        .with("RABBITMQ_DEFAULT_PASS", "secret");
    let running = container.start();
    drop(running.connect("go", "secret"));
    assert!(running.is_healthy());
}

/// Go with TLS: no listener without, and a line of the log that tells of the one with.
#[test]
fn go_has_tls_alone_and_waits_for_its_line() {
    let authority = Authority::new("Authority");
    let certificate = authority.issue(&LOCAL);
    let container = Container::new()
        .without("LEVERET_LISTENERS_TCP_DEFAULT")
        .with_file("ca.pem", &authority.pem)
        .with_file("cert.pem", &certificate.chain)
        .with_file("key.pem", &certificate.key);
    let file = |name: &str| container.path(name).display().to_string();
    let config = format!(
        "default_user = guest\ndefault_pass = guest\nlisteners.tcp = none\n\
         listeners.ssl.default = 0\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.depth = 1\nssl_options.verify = verify_none\n\
         ssl_options.fail_if_no_peer_cert = false\n",
        file("ca.pem"),
        file("cert.pem"),
        file("key.pem")
    );
    let container = container
        .with_file("rabbitmq-testcontainers.conf", &config)
        .with_file_variable("RABBITMQ_CONFIG_FILE", "rabbitmq-testcontainers.conf");
    let running = container.start();
    running.assert_logged("started TLS (SSL) listener on [::]:");
    let mut client = TlsClient::trusting(&authority).connect(running.address("TLS (SSL)"));
    client.shake_hands(&Handshake::plain("guest", "guest"));
    assert!(running.is_healthy(), "a health check needs no certificate");
    let log = running.log();
    assert!(!log.iter().any(|line| line.contains("handshake")), "{log:?}");
}

/// Node and Rust: the line, on standard output, and no variable (Rust) or the usual two (Node).
#[test]
fn rust_sets_nothing_and_reads_standard_output() {
    let container = Container::new();
    let running = container.start();
    running.assert_logged("Server startup complete");
    running.assert_logged("started TCP listener on [::]:");
    drop(running.connect("guest", "guest"));
}

/// .NET: a user called as the broker, and no guest beside it.
#[test]
fn dotnet_has_a_user_of_its_own() {
    let container = Container::new()
        .with("RABBITMQ_DEFAULT_USER", "rabbitmq")
        .with("RABBITMQ_DEFAULT_PASS", "rabbitmq");
    let running = container.start();
    drop(running.connect("rabbitmq", "rabbitmq"));
    let mut guest = RawClient::connect(running.address("TCP"));
    guest.greet();
    guest.start_ok(&Handshake::plain("guest", "guest"));
    assert_eq!(guest.expect(connection::CLOSE).close().code, 403);
}
