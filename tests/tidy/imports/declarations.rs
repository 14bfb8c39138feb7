//! What one file declares and names: its `mod` lines, its `use` trees, its
//! items, and the paths in its bodies. Called by [`super::resolve`], which
//! knows what lies behind the names.

use std::collections::HashSet;

use super::tokens::{Token, is_word, production, tokens};
use crate::source::code_of;

/// One name that a `use` brings in.
#[derive(Debug)]
pub(super) struct Use {
    /// From its first word, such as `crate`, `super` or a crate's name.
    pub(super) path: Vec<String>,
    /// What it is called here; `*` for everything in `path`.
    pub(super) name: String,
    /// Where it stands.
    pub(super) line: usize,
}

/// A path of at least two words outside a `use`.
#[derive(Debug)]
pub(super) struct Mention {
    /// As it is written.
    pub(super) path: Vec<String>,
    /// Where it stands.
    pub(super) line: usize,
}

/// A module: the top of a file, or a `mod name { ... }` in it.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The inline modules around it, outermost first; empty for the file.
    pub(super) inside: Vec<String>,
    /// The names of its `mod` lines, with and without a body.
    pub(super) children: HashSet<String>,
    /// The names of what it defines.
    pub(super) items: HashSet<String>,
    /// Its imports, those of its functions among them.
    pub(super) uses: Vec<Use>,
    /// The paths in its items.
    pub(super) mentions: Vec<Mention>,
}

/// The modules of a file, its own first. What is under `#[cfg(test)]` does
/// not count.
pub(super) fn modules_of(text: &str) -> Vec<Module> {
    let code = code_of(text);
    let tokens = production(&tokens(&code));
    let mut reader = Reader { done: Vec::new(), open: vec![(Module::default(), 0)], depth: 0 };
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        let before = tokens.get(..at).unwrap_or_default();
        at += reader.take(before, rest);
    }
    reader.finish()
}

/// The names of the `mod` lines of a file, those for tests among them.
pub(super) fn all_children(text: &str) -> HashSet<String> {
    let code = code_of(text);
    let tokens = tokens(&code);
    let named = tokens.windows(2).filter(|two| two.first().is_some_and(|it| it.text == "mod"));
    named.filter_map(|two| two.get(1)).map(|token| token.text.to_owned()).collect()
}

const DEFINING: &[&str] =
    &["fn", "struct", "enum", "union", "const", "static", "type", "trait", "macro_rules"];

struct Reader {
    done: Vec<Module>,
    /// The modules around the present token, and the depth of their brace.
    open: Vec<(Module, usize)>,
    depth: usize,
}

impl Reader {
    /// Reads what stands at the front of `rest`; how many tokens that were.
    fn take(&mut self, before: &[Token<'_>], rest: &[Token<'_>]) -> usize {
        let word = |at: usize| rest.get(at).map_or("", |token| token.text);
        match word(0) {
            "{" => self.depth += 1,
            "}" => self.close_brace(),
            "mod" if word(2) == ";" || word(2) == "{" => {
                self.declare(word(1), word(2) == "{");
                return 3;
            }
            "use" if word(1) != "<" => return self.import(rest),
            opening if DEFINING.contains(&opening) => {
                let name = if word(1) == "!" { word(2) } else { word(1) };
                self.module().items.insert(name.to_owned());
            }
            first if first.starts_with(is_word) => return self.mention(before, rest),
            _ => {}
        }
        1
    }

    fn module(&mut self) -> &mut Module {
        &mut self.open.last_mut().expect("the file's own module stays open").0
    }

    fn declare(&mut self, name: &str, has_body: bool) {
        let module = self.module();
        module.children.insert(name.to_owned());
        if has_body {
            let mut inside = module.inside.clone();
            inside.push(name.to_owned());
            self.depth += 1;
            self.open.push((Module { inside, ..Module::default() }, self.depth));
        }
    }

    fn close_brace(&mut self) {
        if self.open.len() > 1 && self.open.last().is_some_and(|(_, depth)| *depth == self.depth) {
            self.done.extend(self.open.pop().map(|(module, _)| module));
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn import(&mut self, rest: &[Token<'_>]) -> usize {
        let end = rest.iter().position(|token| token.text == ";").unwrap_or(rest.len());
        let tree = rest.get(1..end).unwrap_or_default();
        use_tree(tree, &[], &mut self.module().uses);
        end + 1
    }

    fn mention(&mut self, before: &[Token<'_>], rest: &[Token<'_>]) -> usize {
        let mut path = Vec::new();
        let mut length = 0;
        while let Some(word) = rest.get(length).filter(|it| it.text.starts_with(is_word)) {
            path.push(word.text.to_owned());
            length += 1;
            if rest.get(length).is_none_or(|it| it.text != "::") {
                break;
            }
            length += 1;
        }
        let last: Vec<&str> = before.iter().rev().take(3).map(|token| token.text).collect();
        let continues = matches!(last.first(), Some(&("::" | ".")));
        let is_visibility = last == ["in", "(", "pub"];
        if path.len() > 1 && !continues && !is_visibility {
            let line = rest.first().map_or(0, |token| token.line);
            self.module().mentions.push(Mention { path, line });
        }
        length.max(1)
    }

    fn finish(mut self) -> Vec<Module> {
        let mut modules: Vec<Module> = self.open.into_iter().map(|(module, _)| module).collect();
        modules.append(&mut self.done);
        modules
    }
}

/// Takes a `use` tree apart: `a::{self, b as c, d::*}` is three names.
fn use_tree(tree: &[Token<'_>], prefix: &[String], into: &mut Vec<Use>) {
    let mut path = prefix.to_vec();
    let mut name = None;
    let line = tree.first().map_or(0, |token| token.line);
    let mut rest = tree.iter().enumerate();
    while let Some((at, token)) = rest.next() {
        match token.text {
            "::" => {}
            "{" => {
                let inner = tree.get(at + 1..tree.len().saturating_sub(1)).unwrap_or_default();
                for branch in branches(inner) {
                    use_tree(branch, &path, into);
                }
                return;
            }
            "*" => name = Some("*".to_owned()),
            "as" => name = rest.next().map(|(_, token)| token.text.to_owned()),
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    let Some(last) = path.last() else { return };
    into.push(Use { name: name.unwrap_or_else(|| last.clone()), path, line });
}

/// Splits at the commas outside braces.
fn branches<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_usize;
    let split = tokens.split(|token| {
        match token.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        token.text == "," && depth == 0
    });
    split.filter(|branch| !branch.is_empty()).collect()
}

#[test]
fn a_use_tree_is_taken_apart() {
    let modules = modules_of("pub use a::{self, b as c, d::{e, f::*},\n};\nuse super::*;");
    let uses = &modules.first().expect("the file's module").uses;
    let told: Vec<String> =
        uses.iter().map(|it| format!("{}={}:{}", it.name, it.path.join("::"), it.line)).collect();
    assert_eq!(told, ["a=a:1", "c=a::b:1", "e=a::d::e:1", "*=a::d::f:1", "*=super:3"]);
}

#[test]
fn paths_in_bodies_are_seen_and_visibility_is_none() {
    let text = "pub(in crate::a) fn b() -> impl C + use<> { super::d::e(f.g::<H>()); I::new() }\
        mod j { fn k() { super::l::m() } } fn n() { for o in super::p() {} }";
    let modules = modules_of(text);
    let told: Vec<String> = modules
        .iter()
        .flat_map(|module| module.mentions.iter().map(|it| (module.inside.join("::"), it)))
        .map(|(inside, it)| format!("{inside}/{}", it.path.join("::")))
        .collect();
    assert_eq!(told, ["/super::d::e", "/I::new", "/super::p", "j/super::l::m"]);
}
