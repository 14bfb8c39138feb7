//! `shell completions`: a script for a shell that knows the groups, their commands, and their options.
//!
//! A room of `admin::v2`, named by `more`. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::commands::{Command, Kind};
use super::{Call, MISTYPED};
use crate::admin::{Ended, Said};

/// By group and verb, the options.
type Words = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

/// Writes the script.
pub(super) fn completions(call: &Call<'_>) -> Result<Said, Ended> {
    let words = words(super::all());
    match call.value("shell") {
        "bash" => Ok(Some(bash(&words))),
        "zsh" => Ok(Some(format!(
            "#compdef rabbitmqadmin\nautoload -U +X bashcompinit && bashcompinit\n{}",
            bash(&words)
        ))),
        "fish" => Ok(Some(fish(&words))),
        other => Err(Ended {
            text: format!(
                "error: invalid value '{other}' for '--shell <shell>': bash, zsh or fish"
            ),
            code: MISTYPED,
        }),
    }
}

fn words(commands: impl Iterator<Item = &'static Command>) -> Words {
    let mut words = Words::new();
    for command in commands {
        let options = command.options.iter().filter(|option| option.kind != Kind::Word);
        let options: Vec<String> = options.map(|option| format!("--{}", option.long)).collect();
        for (group, verb) in command.names {
            words.entry(group).or_default().insert(verb, options.clone());
        }
    }
    words
}

fn bash(words: &Words) -> String {
    let groups: Vec<&str> = words.keys().copied().collect();
    let mut cases = String::new();
    for (group, verbs) in words {
        let names: Vec<&str> = verbs.keys().copied().collect();
        let _ = writeln!(cases, "        '{group} ') words='{}' ;;", names.join(" "));
        for (verb, options) in verbs {
            let _ = writeln!(cases, "        '{group} {verb}') words='{}' ;;", options.join(" "));
        }
    }
    format!(
        "_rabbitmqadmin() {{\n    local words group='' verb='' word\n    \
         for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n        case $word in\n        \
         -*) ;;\n        *) if [ -z \"$group\" ]; then group=$word; \
         elif [ -z \"$verb\" ]; then verb=$word; fi ;;\n        esac\n    done\n    \
         words='{}'\n    if [ -n \"$group\" ]; then words=''; fi\n    \
         case \"$group $verb\" in\n{cases}    esac\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\
         complete -F _rabbitmqadmin rabbitmqadmin",
        groups.join(" ")
    )
}

fn fish(words: &Words) -> String {
    let mut text = String::from("complete -c rabbitmqadmin -f");
    for (group, verbs) in words {
        let _ = write!(text, "\ncomplete -c rabbitmqadmin -n __fish_use_subcommand -a {group}");
        for (verb, options) in verbs {
            let within = format!("__fish_seen_subcommand_from {group}");
            let _ = write!(text, "\ncomplete -c rabbitmqadmin -n '{within}' -a {verb}");
            for option in options {
                let option = option.trim_start_matches('-');
                let of = format!("{within}; and __fish_seen_subcommand_from {verb}");
                let _ = write!(text, "\ncomplete -c rabbitmqadmin -n '{of}' -l {option}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_completed() {
        let words = words(super::super::all());
        let (bash, fish) = (bash(&words), fish(&words));
        for line in ["'queues declare') words='--name", "'policies patch')", "'show ') words='"] {
            assert!(bash.contains(line), "{line}: {bash}");
        }
        assert!(fish.contains("from policies; and __fish_seen_subcommand_from patch' -l name"));
        assert!(!bash.contains('\0') && bash.lines().count() > 100);
    }
}
