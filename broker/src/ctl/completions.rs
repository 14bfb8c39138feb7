//! Completions of commands and options for shells.
//!
//! A room of `ctl`. Made of the table of commands, so that it has what there is.

use super::commands::{Call, Tool};
use super::failure::Failed;
use super::grammar;
use super::show::Output;

/// The script for the shell that is named.
pub(super) fn script(call: &Call<'_>) -> Result<Output, Failed> {
    let commands = (call.names)().join(" ");
    let options =
        grammar::long_names().map(|long| format!("--{long}")).collect::<Vec<_>>().join(" ");
    let programs = Tool::ALL.map(Tool::name).join(" ");
    let text = match call.word(0) {
        "bash" => format!(
            "_leveret_ctl() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}}\n  case $word in\n    \
             -*) COMPREPLY=($(compgen -W \"{options}\" -- \"$word\")) ;;\n    \
             *) COMPREPLY=($(compgen -W \"{commands}\" -- \"$word\")) ;;\n  esac\n}}\n\
             complete -o default -F _leveret_ctl {programs}\n\
             _leveret() {{\n  if [ \"${{COMP_WORDS[1]}}\" = ctl ]; then _leveret_ctl; fi\n}}\n\
             complete -o default -F _leveret leveret"
        ),
        "zsh" => format!(
            "#compdef {programs}\n_arguments '1:command:({commands})' '*:option:({options})'"
        ),
        "fish" => Tool::ALL
            .map(|tool| {
                let name = tool.name();
                format!("complete -c {name} -n '__fish_is_first_arg' -f -a '{commands}'")
            })
            .join("\n"),
        other => {
            return Err(Failed::usage(format!(
                "there are completions for bash, zsh and fish, not {other}"
            )));
        }
    };
    Ok(Output::Text(text))
}
