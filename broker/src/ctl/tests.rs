//! The table and the words that are understood; what commands do to a broker is in `tests/operation`.

use std::collections::HashSet;

use super::*;

fn line(text: &str) -> Line {
    Line::parse(text.split(' ').map(OsString::from)).unwrap()
}

fn checked_line(text: &str) -> Result<Formatter, String> {
    let line = line(text);
    let command = table::find(&line.words[0]).unwrap();
    checked(command, &line).map_err(|failed| match failed {
        Failed::Usage(text, code) => format!("{code} {text}"),
        other => panic!("{other:?}"),
    })
}

#[test]
fn every_command_has_one_name_and_can_be_called() {
    let mut names = HashSet::new();
    for command in table::all() {
        assert!(names.insert(command.name), "{} twice", command.name);
        assert!(command.words.0 <= command.words.1, "{}", command.name);
        assert!(!command.tools.is_empty(), "{}", command.name);
        for option in command.options {
            assert!(grammar::long_names().any(|known| known == *option), "{option}");
        }
        if let Act::List(list) = command.act {
            assert!(list.shown <= list.columns.len(), "{}", command.name);
        }
    }
}

/// Names that compose files, operators and scripts use, each with the program that has it.
#[test]
fn what_scripts_call_is_there() {
    for (tool, commands) in [
        (
            Tool::Ctl,
            "status await_startup add_user set_user_tags add_vhost set_permissions \
             import_definitions export_definitions list_queues list_connections list_policies \
             enable_feature_flag stop_app start_app trace_on trace_off ping version list_exchanges \
             list_bindings list_channels list_consumers list_users list_vhosts list_permissions \
             list_parameters list_user_permissions list_vhost_limits list_feature_flags delete_user \
             change_password authenticate_user clear_permissions delete_vhost set_policy \
             clear_policy set_parameter set_vhost_limits set_user_limits close_connection \
             close_all_connections purge_queue delete_queue hash_password environment \
             set_vm_memory_high_watermark set_disk_free_limit set_log_level stop shutdown wait",
        ),
        (
            Tool::Diagnostics,
            "ping check_running check_local_alarms check_alarms check_port_connectivity \
             check_port_listener check_protocol_listener check_virtual_hosts \
             check_certificate_expiration listeners memory_breakdown server_version status",
        ),
        (Tool::Queues, "rebalance check_if_node_is_quorum_critical"),
        (Tool::Plugins, "enable disable set list is_enabled"),
        (Tool::Upgrade, "drain await_online_quorum_plus_one"),
    ] {
        for name in commands.split_whitespace() {
            let command = table::find(name).unwrap_or_else(|| panic!("{name}"));
            assert!(command.tools.contains(&tool), "{name} of {}", tool.name());
        }
        assert_eq!(Tool::named(tool.name()), Some(tool));
    }
}

#[test]
fn what_makes_no_sense_is_told_in_rabbitmqs_words() {
    for (text, expected) in [
        ("add_user", "64 not enough arguments."),
        ("add_user a b c", "64 too many arguments."),
        ("ping --priority 5", "64 Invalid options for this command: --priority"),
        ("list_users --formatter foo", "64 The requested formatter is not supported"),
    ] {
        assert_eq!(checked_line(text), Err(expected.to_owned()), "{text}");
    }
    assert_eq!(checked_line("list_queues a b c d e"), Ok(Formatter::Table));
    assert_eq!(checked_line("-q list_users --formatter=json"), Ok(Formatter::Json));
    let text = usage(Tool::Ctl, table::find("add_user").unwrap());
    let expected = "rabbitmqctl [--node <node>] [--longnames] [--quiet] add_user <username> \
                    [<password>] [<password_hash> --pre-hashed-password]";
    assert_eq!(text, expected);
}

#[test]
fn names_that_are_nearly_right_are_known() {
    assert_eq!((distance("ping", "ping"), distance("ping", "pong"), distance("", "ab")), (0, 1, 2));
    let nothing = |_: &str| None;
    let code = |text: &str| run(Some("rabbitmqctl"), text.split(' ').map(OsString::from), nothing);
    assert_eq!(code("list_nothing"), 64);
    assert_eq!(code("ping --foo"), 64);
    assert_eq!(code("help list_queues"), 0);
    assert_eq!(code("ping --socket /nowhere/leveret.sock"), 69);
    assert_eq!(code("await_startup --timeout 1 --socket /nowhere/leveret.sock"), 75);
    assert_eq!(code("is_enabled rabbitmq_management"), 64, "of another program");
    let plugins =
        |text: &str| run(Some("rabbitmq-plugins"), text.split(' ').map(OsString::from), nothing);
    assert_eq!(plugins("is_enabled rabbitmq_management"), 0);
    assert_eq!(plugins("is_enabled rabbitmq_foo"), 69);
    assert_eq!(plugins("enable --offline rabbitmq_management rabbitmq_foo"), 0);
    assert_eq!(plugins("disable rabbitmq_management"), 69);
}
