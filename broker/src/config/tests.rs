//! Configuration from all sources, as `main` loads it.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::secret::Secret;

/// A configuration directory, an environment and a command line.
struct Rig {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
    options: ServeOptions,
}

impl Rig {
    fn new(main: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("leveret.conf");
        fs::write(&config, main).unwrap();
        let options = ServeOptions { config: Some(config), ..ServeOptions::default() };
        Self { directory, environment: Vec::new(), options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn drop_in(self, name: &str, text: &str) -> Self {
        fs::create_dir_all(self.path("conf.d")).unwrap();
        fs::write(self.path("conf.d").join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    fn load(&self) -> Result<Config, String> {
        let lookup = |name: &str| {
            let found = self.environment.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        Config::load(&self.options, lookup).map_err(|error| error.to_string())
    }
}

fn listeners(config: &Config) -> Vec<String> {
    config.listeners.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let rig = Rig::new("");
    let config = rig.load().unwrap();
    assert_eq!(listeners(&config), ["[::]:5672"]);
    assert_eq!(
        config.negotiation,
        Negotiation {
            heartbeat: 60,
            frame_max: 131_072,
            initial_frame_max: 8192,
            channel_max: 2047
        }
    );
    assert_eq!(config.limits.message_size, 134_217_728);
    assert_eq!(config.limits.connections, None);
    assert_eq!(config.authentication.mechanisms, [Mechanism::Plain, Mechanism::AmqPlain]);
    assert_eq!(config.authentication.loopback_users, ["guest"]);
    assert_eq!((config.seed.vhost.as_str(), config.seed.user.as_str()), ("/", "guest"));
    assert_eq!(config.seed.tags, ["administrator"]);
    assert_eq!(config.memory, MemoryHighWatermark::Relative(0.6));
    assert_eq!(config.disk_free_limit, DiskFreeLimit::Absolute(50_000_000));
    assert!(config.identity.cluster_name.starts_with("rabbit@"));
    let Identity { product, version, .. } = &config.identity;
    assert_eq!((product.as_str(), version.as_str()), ("RabbitMQ", "4.3.6"));
    let console = LogOutput { filter: "info".to_owned(), ..LogOutput::default() };
    assert_eq!(config.logging, Logging { console: Some(console), ..Logging::default() });
    assert_eq!(config.listeners.handshake_timeout, Duration::from_secs(10));
    assert_eq!(config.files, [rig.path("leveret.conf")]);
    assert!(config.warnings.is_empty());
}

#[test]
fn the_reference_file_loads_as_the_defaults() {
    let commented = Rig::new(&reference_file()).load().unwrap();
    let mut empty = Rig::new("").load().unwrap();
    empty.files.clone_from(&commented.files);
    assert_eq!(commented, empty);
}

#[test]
fn command_line_over_environment_over_drop_ins_over_the_file() {
    let file = "heartbeat = 1\nframe_max = 8192\nchannel_max = 3\nlog.console.level = error\n\
                data_dir = /file";
    let mut rig = Rig::new(file)
        .drop_in("20.conf", "heartbeat = 20\nframe_max = 9000")
        .drop_in("10.conf", "heartbeat = 10\nlog.console.level = warning")
        .drop_in("ignored.txt", "nonsense")
        .variable("LEVERET_FRAME_MAX", "10000")
        .variable("LEVERET_LOG_CONSOLE_LEVEL", "notice")
        .variable("LEVERET_CHANNEL_MAX", "");
    rig.options.log_level = Some("debug".to_owned());
    let config = rig.load().unwrap();
    assert_eq!(config.negotiation.heartbeat, 20);
    assert_eq!(config.negotiation.frame_max, 10_000);
    assert_eq!(config.negotiation.channel_max, 3);
    assert_eq!(config.logging.console.map(|output| output.filter).as_deref(), Some("debug"));
    assert_eq!(config.data_dir, Path::new("/file"));
    let names = ["leveret.conf", "conf.d/10.conf", "conf.d/20.conf"].map(|name| rig.path(name));
    assert_eq!(config.files, names);
}

#[test]
fn listeners_follow_rabbitmqs_rules() {
    for (text, expected) in [
        ("listeners.tcp.default = 127.0.0.1:1", vec!["127.0.0.1:1"]),
        (
            "listeners.tcp.2 = 22\nlisteners.tcp.1 = 11\nlisteners.tcp.10 = 10",
            vec!["[::]:11", "[::]:22", "[::]:10"],
        ),
        ("listeners.tcp.default = 1\nlisteners.tcp.other = 2", vec!["[::]:1", "[::]:2"]),
        ("listeners.tcp.default = none", vec![]),
        ("listeners.tcp = none", vec![]),
    ] {
        assert_eq!(listeners(&Rig::new(text).load().unwrap()), expected, "{text}");
    }
    let rig = Rig::new("listeners.tcp.default = 127.0.0.1:1\nlisteners.tcp.other = 2");
    let mut rig = rig.variable("RABBITMQ_NODE_PORT", "3");
    assert_eq!(listeners(&rig.load().unwrap()), ["127.0.0.1:3"]);
    rig.options.port = Some(4);
    assert_eq!(listeners(&rig.load().unwrap()), ["127.0.0.1:4"]);
    let rig = rig.variable("RABBITMQ_NODE_IP_ADDRESS", "::1");
    assert_eq!(listeners(&rig.load().unwrap()), ["[::1]:4"]);
    let mut rig = Rig::new("listeners.tcp = none");
    rig.options.port = Some(5);
    assert_eq!(listeners(&rig.load().unwrap()), ["[::]:5"]);
}

#[test]
fn metrics_are_off_until_they_have_a_port() {
    for (text, expected) in [
        ("", None),
        ("prometheus.tcp.ip = 127.0.0.1", None),
        ("prometheus.tcp.port = 15692", Some("[::]:15692")),
        ("prometheus.tcp.port = 1\nprometheus.tcp.ip = 127.0.0.1", Some("127.0.0.1:1")),
        ("prometheus.tcp.port = 1\nprometheus.tcp.ip = ::1", Some("[::1]:1")),
    ] {
        let address = Rig::new(text).load().unwrap().prometheus;
        assert_eq!(address.map(|address| address.to_string()).as_deref(), expected, "{text}");
    }
    let rig = Rig::new("").variable("LEVERET_PROMETHEUS_TCP_PORT", "2");
    assert!(rig.load().unwrap().prometheus.is_some());
    let error = Rig::new("prometheus.tcp.port = 65536").load().unwrap_err();
    assert!(error.ends_with("prometheus.tcp.port: expected a port"), "{error}");
}

#[test]
fn rabbitmqs_variables_seed_the_first_user() {
    let rig = Rig::new("default_user = file")
        .variable("RABBITMQ_DEFAULT_USER", "bob")
        .variable("RABBITMQ_DEFAULT_PASS", "p#1")
        .variable("RABBITMQ_DEFAULT_VHOST", "v");
    let seed = rig.load().unwrap().seed;
    assert_eq!((seed.user.as_str(), seed.vhost.as_str()), ("bob", "v"));
    assert_eq!(seed.password.expose(), "p#1");
    let rig = rig.variable("LEVERET_DEFAULT_USER", "eve");
    assert_eq!(rig.load().unwrap().seed.user, "eve");
}

#[test]
fn secrets_may_come_in_files() {
    let rig = Rig::new("");
    fs::write(rig.path("secret"), "from a file\n").unwrap();
    let path = rig.path("secret").display().to_string();
    let rig = rig.variable("RABBITMQ_DEFAULT_PASS_FILE", path);
    assert_eq!(rig.load().unwrap().seed.password.expose(), "from a file");
    let missing = Rig::new("").variable("LEVERET_DEFAULT_PASS_FILE", "/nowhere/at/all");
    assert!(missing.load().unwrap_err().contains("/nowhere/at/all"));
}

#[test]
fn all_of_the_first_user_may_come_in_files() {
    let mut rig = Rig::new("");
    for (name, text) in [
        ("USER", "bob\n"),
        ("PASS", "se cret\r\n"),
        ("VHOST", "v\n"),
        ("USER_TAGS", "management\n"),
    ] {
        fs::write(rig.path(name), text).unwrap();
        let path = rig.path(name).display().to_string();
        rig = rig.variable(&format!("RABBITMQ_DEFAULT_{name}_FILE"), path);
    }
    let seed = rig.load().unwrap().seed;
    assert_eq!((seed.user.as_str(), seed.vhost.as_str()), ("bob", "v"));
    assert_eq!((seed.password.expose(), seed.tags), ("se cret", vec!["management".to_owned()]));
    // The value goes before the file.
    let seed = rig.variable("RABBITMQ_DEFAULT_USER", "eve").load().unwrap().seed;
    assert_eq!(seed.user, "eve");
}

#[test]
fn the_first_users_tags_come_in_one_variable() {
    for (value, expected) in [
        ("administrator", vec!["administrator"]),
        ("monitoring, administrator", vec!["administrator", "monitoring"]),
        ("management", vec!["management"]),
        (",", vec![]),
        ("", vec!["administrator", "policymaker"]),
    ] {
        let rig = Rig::new("default_user_tags.policymaker = true");
        let seed = rig.variable("RABBITMQ_DEFAULT_USER_TAGS", value).load().unwrap().seed;
        assert_eq!(seed.tags, expected, "{value}");
    }
    let rig = Rig::new("").variable("LEVERET_DEFAULT_USER_TAGS", "monitoring");
    let rig = rig.variable("LEVERET_DEFAULT_USER_TAGS_ADMINISTRATOR", "true");
    assert_eq!(rig.load().unwrap().seed.tags, ["administrator", "monitoring"]);
}

#[test]
fn in_the_image_guest_logs_in_from_anywhere_as_in_rabbitmqs() {
    let defaults = include_str!("../../../config/docker/10-defaults.conf");
    let rig = Rig::new("").drop_in("10-defaults.conf", defaults);
    assert_eq!(rig.load().unwrap().authentication.loopback_users, [""; 0]);
    let rig = rig.drop_in("20-own.conf", "loopback_users.guest = true");
    assert_eq!(rig.load().unwrap().authentication.loopback_users, ["guest"]);
    assert_eq!(Rig::new("").load().unwrap().authentication.loopback_users, ["guest"]);
}

#[test]
fn in_the_image_data_are_below_rabbitmqs_directory_and_metrics_are_served() {
    let defaults = include_str!("../../../config/docker/10-defaults.conf");
    let rig = Rig::new("").drop_in("10-defaults.conf", defaults);
    let config = rig.load().unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/rabbitmq/mnesia/leveret"));
    assert_eq!(config.prometheus, Some("[::]:15692".parse().unwrap()));
    assert_eq!(config.value("data_dir").as_deref(), Some("/var/lib/rabbitmq/mnesia/leveret"));
    assert_eq!(config.value("heartbeat").as_deref(), Some("60"));
    assert_eq!(config.value("listeners.ssl.default"), None);
}

#[test]
fn rabbitmqs_variables_say_where_data_are() {
    for (variables, expected) in [
        (vec![("RABBITMQ_MNESIA_BASE", "/b")], "/b/leveret"),
        (vec![("RABBITMQ_MNESIA_BASE", "/b"), ("RABBITMQ_MNESIA_DIR", "/d")], "/d"),
        (vec![("RABBITMQ_MNESIA_DIR", "/d"), ("LEVERET_DATA_DIR", "/own")], "/own"),
    ] {
        let rig = variables
            .iter()
            .fold(Rig::new("data_dir = /file"), |rig, (name, value)| rig.variable(name, *value));
        assert_eq!(rig.load().unwrap().data_dir, Path::new(expected), "{variables:?}");
    }
}

#[test]
fn the_old_images_variables_count() {
    use MemoryHighWatermark::{Absolute, Relative};
    for (value, expected) in [
        ("0.5", Relative(0.5)),
        ("50%", Relative(0.5)),
        ("1GiB", Absolute(1 << 30)),
        ("2048", Absolute(2048)),
    ] {
        let rig = Rig::new("vm_memory_high_watermark.absolute = 5");
        let rig = rig.variable("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", value);
        assert_eq!(rig.load().unwrap().memory, expected, "{value}");
    }
    let rig = Rig::new("ssl_options.certfile = /a\nssl_options.keyfile = /b");
    let rig = rig.variable("RABBITMQ_MANAGEMENT_SSL_CERTFILE", "/c");
    let rig = rig.variable("RABBITMQ_MANAGEMENT_SSL_KEYFILE", "/k");
    let (address, _) = rig.load().unwrap().management.tls.unwrap();
    assert_eq!(address.port(), 15671);
    let rig = rig.variable("LEVERET_MANAGEMENT_SSL_PORT", "7");
    assert_eq!(rig.load().unwrap().management.tls.unwrap().0.port(), 7);
    let rig =
        Rig::new("").variable("RABBITMQ_LOG_BASE", "/logs").variable("RABBITMQ_LOGS", "a.log");
    assert_eq!(rig.load().unwrap().logging.file.unwrap().path, Path::new("/logs/a.log"));
}

#[test]
fn bitnamis_variables_count_and_rabbitmqs_go_before_them() {
    let rig = Rig::new("")
        .variable("RABBITMQ_USERNAME", "bob")
        .variable("RABBITMQ_PASSWORD", "p")
        .variable("RABBITMQ_VHOST", "v")
        .variable("RABBITMQ_NODE_PORT_NUMBER", "5673")
        .variable("RABBITMQ_MANAGEMENT_PORT_NUMBER", "15673")
        .variable("RABBITMQ_DEFINITIONS_FILE", "/d.json");
    let config = rig.load().unwrap();
    assert_eq!((config.seed.user.as_str(), config.seed.vhost.as_str()), ("bob", "v"));
    assert_eq!(listeners(&config), ["[::]:5673"]);
    assert_eq!(config.management.tcp.unwrap().port(), 15673);
    assert_eq!(config.load_definitions, LoadDefinitions::default());
    let rig =
        rig.variable("RABBITMQ_DEFAULT_USER", "eve").variable("RABBITMQ_LOAD_DEFINITIONS", "yes");
    let config = rig.load().unwrap();
    assert_eq!(config.seed.user, "eve");
    assert_eq!(config.load_definitions.paths, [PathBuf::from("/d.json")]);
}

#[test]
fn variables_that_mean_nothing_are_named_in_one_line() {
    let rig = Rig::new("")
        .variable("RABBITMQ_ERLANG_COOKIE", "secret")
        .variable("RABBITMQ_USE_LONGNAME", "true");
    assert_eq!(
        rig.load().unwrap().warnings,
        ["environment: no effect in this broker: RABBITMQ_ERLANG_COOKIE, RABBITMQ_USE_LONGNAME"]
    );
    let rig = Rig::new("").variable("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit heartbeat 7");
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 7);
}

#[test]
fn the_main_file_may_be_named_without_its_ending_and_be_of_erlang_terms() {
    let mut rig = Rig::new("heartbeat = 1");
    rig.options.config = None;
    let path = rig.path("leveret").display().to_string();
    let rig = rig.variable("RABBITMQ_CONFIG_FILE", path);
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 1);
    fs::write(rig.path("leveret.config"), "[{rabbit, [{heartbeat, 2}]}].").unwrap();
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 1);
    fs::remove_file(rig.path("leveret.conf")).unwrap();
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 2);
    // RabbitMQ: this goes before conf.d.
    let rig = rig.drop_in("1.conf", "heartbeat = 3");
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 3);
    fs::write(rig.path("advanced.config"), "[{rabbit, [{heartbeat, 4}]}].").unwrap();
    let config = rig.load().unwrap();
    assert_eq!(config.negotiation.heartbeat, 4);
    assert_eq!(config.files.last(), Some(&rig.path("advanced.config")));
}

#[test]
fn conf_d_may_be_elsewhere() {
    let mut rig = Rig::new("").drop_in("1.conf", "heartbeat = 3");
    rig.options.config = None;
    for pattern in ["conf.d", "conf.d/", "conf.d/*.conf"] {
        let path = rig.path(pattern).display().to_string();
        let lookup = |name: &str| match name {
            "RABBITMQ_CONFIG_FILE" => Some("/nowhere/rabbitmq.conf".to_owned()),
            "RABBITMQ_CONFIG_FILES" => Some(path.clone()),
            _ => None,
        };
        let config = Config::load(&rig.options, lookup).unwrap();
        assert_eq!(config.negotiation.heartbeat, 3, "{pattern}");
    }
}

#[test]
fn plugins_that_are_not_there_are_named() {
    let rig = Rig::new("");
    fs::write(rig.path("enabled_plugins"), "[rabbitmq_management,rabbitmq_mqtt].").unwrap();
    let place = rig.path("enabled_plugins");
    assert_eq!(
        rig.load().unwrap().warnings,
        [format!("{}: these plugins are not there: rabbitmq_mqtt", place.display())]
    );
}

#[test]
fn variables_may_stand_in_a_file_and_the_environment_goes_before_it() {
    let rig = Rig::new("");
    fs::write(rig.path("rabbitmq-env.conf"), "NODE_PORT=1\nLEVERET_HEARTBEAT=2\n").unwrap();
    let config = rig.load().unwrap();
    assert_eq!((listeners(&config), config.negotiation.heartbeat), (vec!["[::]:1".to_owned()], 2));
    let rig = rig.variable("RABBITMQ_NODE_PORT", "3");
    assert_eq!(listeners(&rig.load().unwrap()), ["[::]:3"]);
    let rig = Rig::new("").variable("RABBITMQ_CONF_ENV_FILE", "/nowhere/env.conf");
    assert!(rig.load().unwrap_err().starts_with("cannot read /nowhere/env.conf: "));
}

#[test]
fn passwords_are_hashed_as_configured() {
    for (text, expected) in [
        ("", HashingAlgorithm::Sha256),
        ("password_hashing_module = rabbit_password_hashing_sha512", HashingAlgorithm::Sha512),
        ("password_hashing_module = rabbit_password_hashing_md5", HashingAlgorithm::Md5),
        ("password_hashing_module = argon2id", HashingAlgorithm::Argon2id),
    ] {
        let config = Rig::new(text).load().unwrap();
        assert_eq!(config.authentication.password_hashing, expected, "{text}");
        assert_eq!(config.seed.password_hashing, expected, "{text}");
    }
    let wrong = Rig::new("password_hashing_module = rot13").load().unwrap_err();
    assert!(wrong.contains("password_hashing_module") && wrong.contains("argon2id"), "{wrong}");
}

#[test]
fn loopback_users_can_be_added_and_removed() {
    for (text, expected) in [
        ("loopback_users.guest = false", vec![]),
        ("loopback_users = none", vec![]),
        ("loopback_users.bob = true\nloopback_users.eve = false", vec!["guest", "bob"]),
    ] {
        let config = Rig::new(text).load().unwrap();
        assert_eq!(config.authentication.loopback_users, expected, "{text}");
    }
}

#[test]
fn groups_are_filled_from_their_keys() {
    let config = Rig::new(
        "auth_mechanisms.2 = PLAIN\nauth_mechanisms.1 = AMQPLAIN\nauth_mechanisms.3 = PLAIN\n\
         default_user_tags.administrator = false\ndefault_user_tags.monitoring = true\n\
         default_permissions.write = ^q\nvm_memory_high_watermark.relative = 0.5\n\
         vm_memory_high_watermark.absolute = 2GiB\ndisk_free_limit.relative = 1.5\nconnection_max = 7\n\
         max_channels_per_connection = 9\nvhost_max = infinity\ncluster_name = rabbit@x\n\
         server_properties.product = Leveret\nserver_properties.version = 0.1\n\
         tcp_listen_options.backlog = 5\ntcp_listen_options.nodelay = false\n\
         handshake_timeout = 250\nshutdown_timeout = 1000\nlog.console = false",
    )
    .load()
    .unwrap();
    assert_eq!(config.authentication.mechanisms, [Mechanism::AmqPlain, Mechanism::Plain]);
    assert_eq!(config.seed.tags, ["monitoring"]);
    assert_eq!(config.seed.permissions.write, "^q");
    assert_eq!(config.memory, MemoryHighWatermark::Absolute(2 << 30));
    assert_eq!(config.disk_free_limit, DiskFreeLimit::Relative(1.5));
    assert_eq!(config.limits.connections, Some(7));
    assert_eq!(config.negotiation.channel_max, 9);
    let Identity { cluster_name, product, version, is_named } = &config.identity;
    assert!(*is_named);
    assert_eq!(
        (cluster_name.as_str(), product.as_str(), version.as_str()),
        ("rabbit@x", "Leveret", "0.1")
    );
    assert_eq!((config.listeners.backlog, config.listeners.nodelay), (5, false));
    assert_eq!(config.listeners.handshake_timeout, Duration::from_millis(250));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(1));
    assert_eq!(config.logging.console, None);
}

#[test]
fn definitions_come_from_the_old_key_and_from_the_new_one() {
    let config = Rig::new("").load().unwrap();
    assert_eq!(config.load_definitions, LoadDefinitions::default());
    let config = Rig::new(
        "definitions.import_backend = local_filesystem\ndefinitions.local.path = /new\n\
         load_definitions = /old.json\ndefinitions.skip_if_unchanged = true\n\
         definitions.hashing.algorithm = sha512",
    )
    .load()
    .unwrap();
    let paths = vec!["/old.json".into(), "/new".into()];
    assert_eq!(config.load_definitions, LoadDefinitions { paths, skip_if_unchanged: true });
    assert_eq!(config.warnings.len(), 1);
    let config = Rig::new("management.load_definitions = /older.json").load().unwrap();
    assert_eq!(config.load_definitions.paths, [PathBuf::from("/older.json")]);
    let error = Rig::new("definitions.import_backend = https").load().unwrap_err();
    assert!(error.ends_with("definitions.import_backend: expected local_filesystem"), "{error}");
}

#[test]
fn further_users_are_put_together_from_their_keys() {
    let config = Rig::new(
        "default_users.eve.tags = monitoring, policymaker\ndefault_users.bob.password = 'p#1'\n\
         default_users.bob.vhost_pattern = ^v\ndefault_users.bob.configure = ^c\n\
         default_users.bob.write = ^w\ndefault_users.bob.read = ^r\n\
         default_users.j\\.doe.password = x",
    )
    .load()
    .unwrap();
    let [bob, eve, doe] = config.seed.further_users.as_slice() else { panic!("{config:?}") };
    assert_eq!(bob.password.as_ref().map(Secret::expose), Some("p#1"));
    assert_eq!((bob.name.as_str(), bob.vhost_pattern.as_str()), ("bob", "^v"));
    let SeedPermissions { configure, write, read } = &bob.permissions;
    assert_eq!([configure, write, read], ["^c", "^w", "^r"]);
    assert!(bob.tags.is_empty());
    assert_eq!((eve.name.as_str(), &eve.password), ("eve", &None));
    assert_eq!(eve.tags, ["monitoring", "policymaker"]);
    assert_eq!((eve.vhost_pattern.as_str(), eve.permissions.read.as_str()), (".*", ".*"));
    assert_eq!(doe.name, "j.doe");
    assert!(config.warnings.is_empty());
}

#[test]
fn keys_of_rabbitmq_alone_leave_one_warning_each() {
    let rig = Rig::new("net_ticktime = 60\nssl_options.dhfile = dh.pem\nheartbeat = 5");
    let config = rig.load().unwrap();
    let file = rig.path("leveret.conf");
    assert_eq!(
        config.warnings,
        [
            format!(
                "{}:1: 'net_ticktime' has no effect in this broker: it is about clusters",
                file.display()
            ),
            format!(
                "{}:2: 'ssl_options.dhfile' has no effect in this broker: the TLS library has no \
                 such option, or has it always on",
                file.display()
            ),
        ]
    );
    assert_eq!(config.negotiation.heartbeat, 5);
}

#[test]
fn a_mistake_is_one_line_with_its_place() {
    for (text, expected) in [
        ("\n\nhartbeat = 60", "leveret.conf:3: unknown key 'hartbeat', did you mean 'heartbeat'?"),
        ("zzzzzzzzzzzzzzzzzz = 1", "leveret.conf:1: unknown key 'zzzzzzzzzzzzzzzzzz'"),
        (
            "heartbeat = often",
            "leveret.conf:1: heartbeat: expected a number of seconds up to 65535",
        ),
        ("heartbeat", "leveret.conf:1: expected 'key = value'"),
        ("frame_max = 4095", "leveret.conf:1: frame_max: expected a size of at least 4096"),
        (
            "default_users.bob.read = (",
            "leveret.conf:1: default_users.bob.read: expected a regular expression",
        ),
        ("default_users.bob.tags = a,", "default_users.bob.tags: expected names separated by"),
        ("default_users.bob.tag = a", "leveret.conf:1: unknown key 'default_users.bob.tag'"),
    ] {
        let error = Rig::new(text).load().unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    // A mistake counts even if a later layer hides it.
    let rig = Rig::new("heartbeat = often").variable("LEVERET_HEARTBEAT", "1");
    assert!(rig.load().is_err());
    let error = Rig::new("").variable("LEVERET_HEARTBEAT", "x").load().unwrap_err();
    assert!(error.starts_with("environment variable LEVERET_HEARTBEAT: heartbeat: "), "{error}");
    let mut rig = Rig::new("");
    rig.options.log_level = Some("loud".to_owned());
    assert!(rig.load().unwrap_err().starts_with("--log-level: log.console.level: "));
}

#[test]
fn rabbitmqs_variables_say_what_is_logged_where() {
    let logging = |levels: &str, places: &str| {
        let rig = Rig::new("").variable("RABBITMQ_LOG", levels).variable("RABBITMQ_LOGS", places);
        rig.load().map(|config| config.logging)
    };
    let logged = logging("warning, connection=debug,+color,+json,federation=info", "/l").unwrap();
    let console = logged.console.unwrap();
    assert_eq!((console.filter.as_str(), console.format), ("warn", LogFormat::Json));
    assert_eq!(logged.categories, [(LogCategory::Connection, "debug".to_owned())]);
    assert_eq!(logged.file.unwrap().path, PathBuf::from("/l"));
    let plain = logging("", "-stderr").unwrap();
    assert_eq!((plain.is_stderr, plain.file), (true, None));
    let error = logging("loud", "-").unwrap_err();
    assert!(error.starts_with("environment variable RABBITMQ_LOG: log.default.level: "), "{error}");
}

#[test]
fn a_file_named_on_the_command_line_must_exist() {
    let mut rig = Rig::new("").drop_in("a.conf", "heartbeat = 3");
    let missing = rig.path("missing.conf");
    rig.options.config = Some(missing.clone());
    let error = rig.load().unwrap_err();
    assert!(error.starts_with(&format!("cannot read {}: ", missing.display())), "{error}");
    // One named by the environment may be missing; what is beside it counts.
    rig.options.config = None;
    let rig = rig.variable("RABBITMQ_CONFIG_FILE", missing.display().to_string());
    assert_eq!(rig.load().unwrap().negotiation.heartbeat, 3);
}
