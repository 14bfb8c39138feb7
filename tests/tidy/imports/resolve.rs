//! Follows paths through the modules of a crate to the files behind them.
//! Called by [`super::imports`].

use std::collections::HashMap;

use super::declarations::{Module, modules_of};
use super::{CRATE, Import, module_path};
use crate::tree::File;

/// Names lead to names; so many steps are enough for every honest path, and a
/// circle of globs ends.
const STEPS_MAX: usize = 24;

/// A module of the crate, and the file in which it stands.
struct Known {
    module: Module,
    file: String,
}

/// What is known of a crate: its modules by their path.
pub(super) struct Crate<'a> {
    known: HashMap<Vec<String>, Known>,
    /// What the binary beside the library calls it.
    name: &'a str,
}

/// Where a path has led.
#[derive(Clone)]
enum Place {
    Module(Vec<String>),
    /// Something that this module defines, or cannot be told from it.
    ItemOf(Vec<String>),
}

impl<'a> Crate<'a> {
    /// Reads the files that are part of what is shipped.
    pub(super) fn read<'f>(files: impl Iterator<Item = &'f File>, name: &'a str) -> Self {
        let mut known = HashMap::new();
        for file in files {
            let home = module_path(&file.path);
            for module in modules_of(&file.text) {
                let path = home.iter().chain(&module.inside).cloned().collect();
                known.insert(path, Known { module, file: file.path.clone() });
            }
        }
        Self { known, name }
    }

    /// Every import, sorted, each pair of line and file once.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut found = Vec::new();
        for (home, known) in &self.known {
            let uses = known.module.uses.iter().map(|it| (&it.path, it.line));
            let mentions = known.module.mentions.iter().map(|it| (&it.path, it.line));
            for (path, line) in uses.chain(mentions) {
                for to in self.files_behind(home, path) {
                    if to != known.file {
                        let (from, path) = (known.file.clone(), path.join("::"));
                        found.push(Import { from, line, to, path });
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The file that defines what `path` names in `home`, and every file whose
    /// re-export lies on the way there.
    fn files_behind(&self, home: &[String], path: &[String]) -> Vec<String> {
        let mut passed = Vec::new();
        if let Some(Place::Module(end) | Place::ItemOf(end)) =
            self.follow(home, path, &mut passed, STEPS_MAX)
        {
            passed.push(end);
        }
        passed.iter().filter_map(|it| self.known.get(it)).map(|it| it.file.clone()).collect()
    }

    /// Follows `path` from `home`, noting the modules whose imports it went by.
    fn follow(
        &self,
        home: &[String],
        path: &[String],
        passed: &mut Vec<Vec<String>>,
        steps: usize,
    ) -> Option<Place> {
        let (first, mut rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::Module(home.get(..1)?.to_vec()),
            "self" => Place::Module(home.to_vec()),
            "super" => Place::Module(home.split_last()?.1.to_vec()),
            name if name == self.name => Place::Module(vec![CRATE.to_owned()]),
            // The module's own imports are counted where they stand.
            name => self.find(home, name, &mut Vec::new(), steps)?,
        };
        while let (Place::Module(module), Some((name, after))) = (&place, rest.split_first()) {
            place = match name.as_str() {
                "super" => Place::Module(module.split_last()?.1.to_vec()),
                name => {
                    let found = self.find(module, name, passed, steps);
                    found.unwrap_or_else(|| Place::ItemOf(module.clone()))
                }
            };
            rest = after;
        }
        Some(place)
    }

    /// What `name` is in `module`; `None` if nothing there tells.
    fn find(
        &self,
        module: &[String],
        name: &str,
        passed: &mut Vec<Vec<String>>,
        steps: usize,
    ) -> Option<Place> {
        let steps = steps.checked_sub(1)?;
        let known = &self.known.get(module)?.module;
        if known.children.contains(name) {
            let child = module.iter().cloned().chain([name.to_owned()]).collect();
            return Some(Place::Module(child));
        }
        if known.items.contains(name) {
            return Some(Place::ItemOf(module.to_vec()));
        }
        if let Some(used) = known.uses.iter().find(|used| used.name == name) {
            passed.push(module.to_vec());
            return self.follow_elsewhere(module, &used.path, passed, steps);
        }
        let globs = known.uses.iter().filter(|used| used.name == "*");
        globs.into_iter().find_map(|glob| {
            let target = self.follow(module, &glob.path, &mut Vec::new(), steps)?;
            let Place::Module(target) = target else { return None };
            let mut on_the_way = vec![module.to_vec()];
            let found = self.find(&target, name, &mut on_the_way, steps)?;
            passed.append(&mut on_the_way);
            Some(found)
        })
    }

    /// As [`Self::follow`], for the path of a `use`: `use name::X` where `name`
    /// is that very `use` means a crate, and would lead in a circle.
    fn follow_elsewhere(
        &self,
        module: &[String],
        path: &[String],
        passed: &mut Vec<Vec<String>>,
        steps: usize,
    ) -> Option<Place> {
        let known = &self.known.get(module)?.module;
        let first = path.first()?;
        let is_own_name = known.uses.iter().any(|it| it.name == *first && it.path == path);
        let leads_out = is_own_name && !known.children.contains(first);
        if leads_out && !matches!(first.as_str(), "crate" | "self" | "super") {
            return None;
        }
        self.follow(module, path, passed, steps)
    }
}
