//! Commands over users, permissions, vhosts, policies and parameters.

use crate::ctl::commands::{Act, Body, Command, MANY, Missing, Request};
use crate::ctl::failure::DATA;
use crate::ctl::{bodies, users};

const fn put(path: &'static str, body: Body) -> Act {
    Act::Send(Request { method: "PUT", path, body: Some(body), missing: Missing::Broker })
}

const fn delete(path: &'static str, missing: Missing) -> Act {
    Act::Send(Request { method: "DELETE", path, body: None, missing })
}

const NO_PARAMETER: Missing = Missing::Says("Parameter does not exist", 69);

pub(super) const ACCESS: &[Command] = &[
    Command::new(
        "add_user",
        "<username> [<password>] [<password_hash> --pre-hashed-password]",
        (1, 2),
        "Adding user \"{0}\" ...",
        Act::Own(users::add_user),
    )
    .options(&["pre-hashed-password"]),
    Command::new(
        "delete_user",
        "<username>",
        (1, 1),
        "Deleting user \"{0}\" ...",
        delete("/users/{0}", Missing::Fine),
    ),
    Command::new(
        "change_password",
        "<username> [<password>]",
        (1, 2),
        "Changing password for user \"{0}\" ...",
        Act::Own(users::change_password),
    )
    .options(&["pre-hashed-password"]),
    Command::new(
        "clear_password",
        "<username>",
        (1, 1),
        "Clearing password for user \"{0}\" ...",
        Act::Own(users::clear_password),
    ),
    Command::new(
        "set_user_tags",
        "<username> <tag> [...]",
        (1, MANY),
        "Setting tags for user \"{0}\" to [{tags}] ...",
        Act::Own(users::set_tags),
    ),
    Command::new(
        "authenticate_user",
        "<username> [<password>]",
        (1, 2),
        "Authenticating user \"{0}\" ...",
        Act::Own(users::authenticate),
    ),
    Command::new(
        "set_permissions",
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        (4, 4),
        "Setting permissions for user \"{0}\" in vhost \"{vhost}\" ...",
        Act::Own(users::set_permissions),
    ),
    Command::new(
        "set_permissions_globally",
        "<username> <conf> <write> <read>",
        (4, 4),
        "Setting permissions for user \"{0}\" in all virtual hosts ...",
        Act::Own(users::set_permissions_globally),
    ),
    Command::new(
        "clear_permissions",
        "[--vhost <vhost>] <username>",
        (1, 1),
        "Clearing permissions for user \"{0}\" in vhost \"{vhost}\" ...",
        delete("/permissions/{vhost}/{0}", Missing::Fine),
    ),
    Command::new(
        "set_topic_permissions",
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        (4, 4),
        "Setting topic permissions on \"{1}\" for user \"{0}\" in vhost \"{vhost}\" ...",
        put("/topic-permissions/{vhost}/{0}", bodies::topic_permissions),
    ),
    Command::new(
        "clear_topic_permissions",
        "[--vhost <vhost>] <username> [<exchange>]",
        (1, 2),
        "Clearing topic permissions for user \"{0}\" in vhost \"{vhost}\" ...",
        Act::Own(users::clear_topic_permissions),
    ),
    Command::new(
        "set_user_limits",
        "<username> <definition>",
        (2, 2),
        "Setting user limits to \"{1}\" for user \"{0}\" ...",
        Act::Own(users::set_user_limits),
    ),
    Command::new(
        "clear_user_limits",
        "<username> <limit_type> | all",
        (2, 2),
        "Clearing \"{1}\" limit for user \"{0}\" ...",
        Act::Own(users::clear_user_limits),
    ),
    Command::new(
        "add_vhost",
        "<vhost> [--description <text>] [--tags \"<tag1>,<tag2>,...\"] [--default-queue-type <type>]",
        (1, 1),
        "Adding vhost \"{0}\" ...",
        put("/vhosts/{0}", bodies::vhost),
    )
    .options(&["description", "tags", "default-queue-type"]),
    Command::new(
        "update_vhost_metadata",
        "<vhost> [--description <text>] [--tags \"<tag1>,<tag2>,...\"] [--default-queue-type <type>]",
        (1, 1),
        "Updating metadata of vhost \"{0}\" ...",
        Act::Own(users::update_vhost),
    )
    .options(&["description", "tags", "default-queue-type"]),
    Command::new(
        "delete_vhost",
        "<vhost>",
        (1, 1),
        "Deleting vhost \"{0}\" ...",
        Act::Own(users::delete_vhost),
    ),
    Command::new(
        "enable_vhost_protection_from_deletion",
        "<vhost>",
        (1, 1),
        "Protecting virtual host '{0}' from removal...",
        Act::Send(Request {
            method: "POST",
            path: "/vhosts/{0}/deletion/protection",
            body: None,
            missing: Missing::Says("Virtual host '{0}' does not exist", DATA),
        }),
    ),
    Command::new(
        "disable_vhost_protection_from_deletion",
        "<vhost>",
        (1, 1),
        "Removing removal protection for virtual host '{0}' ...",
        delete(
            "/vhosts/{0}/deletion/protection",
            Missing::Says("Virtual host '{0}' does not exist", DATA),
        ),
    ),
    Command::new(
        "set_vhost_limits",
        "[--vhost <vhost>] <definition>",
        (1, 1),
        "Setting vhost limits to \"{0}\" for vhost \"{vhost}\" ...",
        Act::Own(users::set_vhost_limits),
    ),
    Command::new(
        "clear_vhost_limits",
        "[--vhost <vhost>]",
        (0, 0),
        "Clearing vhost \"{vhost}\" limits ...",
        Act::Own(users::clear_vhost_limits),
    ),
    Command::new(
        "set_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> \
         <definition>",
        (3, 3),
        "Setting policy \"{0}\" for pattern \"{1}\" to \"{2}\" with priority \"{priority}\" for vhost \
         \"{vhost}\" ...",
        put("/policies/{vhost}/{0}", bodies::policy),
    )
    .options(&["priority", "apply-to"]),
    Command::new(
        "clear_policy",
        "[--vhost <vhost>] <name>",
        (1, 1),
        "Clearing policy \"{0}\" on vhost \"{vhost}\" ...",
        delete("/policies/{vhost}/{0}", NO_PARAMETER),
    ),
    Command::new(
        "set_operator_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> \
         <definition>",
        (3, 3),
        "Setting operator policy override \"{0}\" for pattern \"{1}\" to \"{2}\" with priority \
         \"{priority}\" for vhost \"{vhost}\" ...",
        put("/operator-policies/{vhost}/{0}", bodies::policy),
    )
    .options(&["priority", "apply-to"]),
    Command::new(
        "clear_operator_policy",
        "[--vhost <vhost>] <name>",
        (1, 1),
        "Clearing operator policy \"{0}\" on vhost \"{vhost}\" ...",
        delete("/operator-policies/{vhost}/{0}", NO_PARAMETER),
    ),
    Command::new(
        "set_parameter",
        "[--vhost <vhost>] <component_name> <name> <value>",
        (3, 3),
        "Setting runtime parameter \"{1}\" for component \"{0}\" to \"{2}\" in vhost \"{vhost}\" ...",
        put("/parameters/{0}/{vhost}/{1}", bodies::parameter),
    ),
    Command::new(
        "clear_parameter",
        "[--vhost <vhost>] <component_name> <name>",
        (2, 2),
        "Clearing runtime parameter \"{1}\" for component \"{0}\" on vhost \"{vhost}\" ...",
        delete("/parameters/{0}/{vhost}/{1}", NO_PARAMETER),
    ),
    Command::new(
        "set_global_parameter",
        "<name> <value>",
        (2, 2),
        "Setting global runtime parameter \"{0}\" to \"{1}\" ...",
        put("/global-parameters/{0}", bodies::global_parameter),
    ),
    Command::new(
        "clear_global_parameter",
        "<name>",
        (1, 1),
        "Clearing global runtime parameter \"{0}\" ...",
        delete("/global-parameters/{0}", NO_PARAMETER),
    ),
];
