//! What the checkpoints of PyTorch hold, by its own account.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A checkpoint and what is known of it.
pub(crate) struct Fixture {
    pub(crate) path: PathBuf,
    expected: Value,
}

/// Every checkpoint.
pub(crate) fn all() -> Vec<Fixture> {
    let mut found = Vec::new();
    let mut stack = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch")];
    while let Some(folder) = stack.pop() {
        let file = folder.join("expected.json");
        let is_one = folder.join(".metadata").exists() || folder.join("__0.metadata").exists();
        if is_one && file.exists() {
            let text = std::fs::read_to_string(&file).expect("reads");
            found.push(Fixture { path: folder.clone(), expected: serde_json::from_str(&text).expect("JSON") });
        }
        let entries = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        stack.extend(entries.filter(|entry| entry.is_dir()));
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(found.len() > 70, "only {} checkpoints", found.len());
    found
}

/// The checkpoint in a folder of `fixtures/torch`.
pub(crate) fn one(name: &str) -> Fixture {
    let found = all().into_iter().find(|fixture| fixture.path.ends_with(name));
    found.unwrap_or_else(|| panic!("no checkpoint {name}"))
}

impl Fixture {
    /// Tensors, each as `dtype`, `shape`, `sha256`.
    pub(crate) fn tensors(&self) -> BTreeMap<String, (String, Vec<u64>, String)> {
        let tensor = |of: &Value| {
            let shape =
                of["shape"].as_array().expect("a shape").iter().map(|extent| extent.as_u64().expect("an extent"));
            let text = |field: &str| of[field].as_str().expect("text").to_owned();
            (text("dtype"), shape.collect(), text("sha256"))
        };
        self.merged("tensors").into_iter().map(|(fqn, of)| (fqn, tensor(&of))).collect()
    }

    /// Objects, in tagged JSON.
    pub(crate) fn objects(&self) -> BTreeMap<String, Value> {
        self.merged("objects")
    }

    /// The path that each name stands for: texts are dict keys, numbers are places in lists.
    pub(crate) fn paths(&self) -> BTreeMap<String, Value> {
        self.merged("paths")
    }

    /// Lightning's other state, by its top-level keys.
    pub(crate) fn companion(&self) -> Option<&serde_json::Map<String, Value>> {
        self.expected["meta_pt"].as_object()
    }

    /// What each rank says, together; of what several say the first counts.
    fn merged(&self, what: &str) -> BTreeMap<String, Value> {
        let ranks = self.expected["per_rank"].as_array();
        let ranks = ranks.map_or(vec![&self.expected], |ranks| ranks.iter().collect());
        let mut merged = BTreeMap::new();
        for of in ranks.into_iter().filter_map(|rank| rank[what].as_object()).flatten() {
            merged.entry(of.0.clone()).or_insert_with(|| of.1.clone());
        }
        merged
    }
}
