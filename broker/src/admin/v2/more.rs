//! More of what the second rabbitmqadmin can be asked, as data: many policies at once, what the node uses, and
//! what is done on this side.
//!
//! A room of `admin::v2`, beside `commands`. Pure.

use super::commands::{
    Act, Command, IDEMPOTENTLY, NAME, Opt, command, default, flag, list, optional, required,
};
use super::{completing, node, policies};

const KEYS: Opt = list("definition-keys");
const NODE: &[Opt] = &[required("node")];
const VALUE: &[Opt] = &[required("definition-key"), required("new-value")];
const DEFINITION: &[Opt] = &[NAME, default("definition", "{}")];
const NAMED_VALUE: &[Opt] = &[NAME, required("definition-key"), required("new-value")];
const OBJECT: &[Opt] = &[NAME, required("type")];
const KEYS_OF_ONE: &[Opt] = &[NAME, KEYS];

/// All of them.
pub(super) const MORE: &[Command] = &[
    command(&[("policies", "patch")], DEFINITION, Act::Own(policies::patch)),
    command(&[("operator_policies", "patch")], DEFINITION, Act::Own(policies::patch)),
    command(&[("policies", "update_definition")], NAMED_VALUE, Act::Own(policies::update)),
    command(&[("operator_policies", "update_definition")], NAMED_VALUE, Act::Own(policies::update)),
    command(
        &[("policies", "update_definitions_of_all")],
        VALUE,
        Act::Own(policies::update_everywhere),
    ),
    command(&[("policies", "update_definitions_of_all_in")], VALUE, Act::Own(policies::update_all)),
    command(
        &[("operator_policies", "update_definitions_of_all_in")],
        VALUE,
        Act::Own(policies::update_all),
    ),
    command(
        &[("policies", "delete_definition_keys")],
        KEYS_OF_ONE,
        Act::Own(policies::delete_keys),
    ),
    command(
        &[("operator_policies", "delete_definition_keys")],
        KEYS_OF_ONE,
        Act::Own(policies::delete_keys),
    ),
    command(
        &[("policies", "delete_definition_keys_from_all")],
        &[KEYS],
        Act::Own(policies::delete_keys_everywhere),
    ),
    command(
        &[("policies", "delete_definition_keys_from_all_in")],
        &[KEYS],
        Act::Own(policies::delete_keys_of_all),
    ),
    command(
        &[("operator_policies", "delete_definition_keys_from_all_in")],
        &[KEYS],
        Act::Own(policies::delete_keys_of_all),
    ),
    command(
        &[("policies", "declare_override")],
        &[NAME, optional("override-name"), default("definition", "{}")],
        Act::Own(policies::declare_override),
    ),
    command(
        &[("policies", "declare_blanket")],
        &[NAME, required("apply-to"), required("definition")],
        Act::Own(policies::declare_blanket),
    ),
    command(&[("policies", "list_matching_object")], OBJECT, Act::Own(policies::matching)),
    command(&[("operator_policies", "list_matching_object")], OBJECT, Act::Own(policies::matching)),
    command(&[("policies", "list_conflicting")], &[], Act::Own(policies::conflicting)),
    command(&[("policies", "list_conflicting_in")], &[], Act::Own(policies::conflicting_in)),
    command(
        &[("vhosts", "delete_multiple")],
        &[required("name-pattern"), flag("approve"), flag("dry-run"), IDEMPOTENTLY],
        Act::Own(node::delete_vhosts),
    ),
    command(
        &[("auth_attempts", "stats")],
        NODE,
        Act::List(
            "/auth/attempts/{node}",
            &[
                ("Protocol", "protocol"),
                ("Number of attempts", "auth_attempts"),
                ("Failed", "auth_attempts_failed"),
                ("Successful", "auth_attempts_succeeded"),
            ],
        ),
    ),
    command(&[("plugins", "list_all")], &[], Act::Own(node::plugins)),
    command(&[("plugins", "list_on_node")], NODE, Act::Own(node::plugins)),
    command(
        &[("nodes", "memory_breakdown_in_bytes"), ("show", "memory_breakdown_in_bytes")],
        NODE,
        Act::Own(node::memory_in_bytes),
    ),
    command(
        &[("nodes", "memory_breakdown_in_percent"), ("show", "memory_breakdown_in_percent")],
        NODE,
        Act::Own(node::memory_in_percent),
    ),
    command(
        &[("shell", "completions")],
        &[default("shell", "bash")],
        Act::Own(completing::completions),
    ),
];
