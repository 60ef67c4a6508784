//! Which objects belong together, by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcp_storage::{Format, ObjectMeta, StorePath};

use crate::formats::{is_of_one_file, is_part};

/// The objects of what may be a checkpoint.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The directory, or the file; `None` is the place that was listed.
    pub(super) place: Option<StorePath>,
    /// Whether it is a file.
    pub(super) is_file: bool,
    /// Named from the directory; the file has its own name.
    pub(super) objects: Vec<ObjectMeta>,
    /// The first unfinished upload of a part, named likewise.
    pub(super) upload: Option<StorePath>,
}

/// Groups what was listed. `one_object` is the only object that there is room for, if that is so.
pub(super) fn group(
    listing: Vec<ObjectMeta>,
    uploads: Vec<StorePath>,
    one_object: Option<&StorePath>,
    formats: &[Arc<dyn Format>],
) -> Vec<Group> {
    let mut directories: BTreeMap<Option<StorePath>, Group> = BTreeMap::new();
    let mut files: BTreeMap<StorePath, Group> = BTreeMap::new();
    let names = listing.iter().map(|object| (&object.path, false));
    for (path, is_upload) in names.chain(uploads.iter().map(|path| (path, true))) {
        let (directory, name) = path.split();
        let Ok(name) = StorePath::parse(name) else { continue };
        let group = if one_object.is_none() && is_part(&name, formats) {
            let new = || Group { place: directory.clone(), ..Group::default() };
            directories.entry(directory.clone()).or_insert_with(new)
        } else if one_object == Some(path) || is_of_one_file(&name, formats) {
            let new = || Group { place: Some(path.clone()), is_file: true, ..Group::default() };
            files.entry(path.clone()).or_insert_with(new)
        } else {
            continue;
        };
        if is_upload && group.upload.is_none() {
            group.upload = Some(if group.is_file { path.clone() } else { name });
        }
    }
    for object in listing {
        if let Some(file) = files.get_mut(&object.path) {
            file.objects.push(object.clone());
        }
        // Innermost first.
        let mut around = object.path.split().0;
        loop {
            if let Some(group) = directories.get_mut(&around) {
                let path = around.as_ref().and_then(|directory| object.path.below(directory));
                group.objects.push(ObjectMeta { path: path.unwrap_or_else(|| object.path.clone()), ..object });
                break;
            }
            let Some(inner) = around else { break };
            around = inner.split().0;
        }
    }
    directories.into_values().chain(files.into_values()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats;

    fn path(name: &str) -> StorePath {
        StorePath::parse(name).expect("path")
    }

    fn grouped(names: &[&str], uploads: &[&str]) -> Vec<(Option<String>, usize, Option<String>)> {
        let listing = names.iter().map(|name| ObjectMeta { path: path(name), size: 1, version: None }).collect();
        let groups = group(listing, uploads.iter().map(|name| path(name)).collect(), None, &formats::known());
        let text = |path: StorePath| path.to_string();
        let told = |group: Group| (group.place.map(text), group.objects.len(), group.upload.map(text));
        groups.into_iter().map(told).collect()
    }

    #[test]
    fn each_object_is_of_the_innermost_checkpoint() {
        let names = [
            "notes.txt",
            "run/index.dcp",
            "run/__0_0.distcp",
            "run/logs/log.txt",
            "run/deep/.dcp-claim-3",
            "run/deep/x/y",
            "running/x",
        ];
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(grouped(&names, &[]), [(some("run"), 3, None), (some("run/deep"), 2, None)]);
        assert_eq!(grouped(&["index.dcp", "other/x"], &[]), [(None, 2, None)]);
    }

    #[test]
    fn an_upload_is_something_too() {
        let uploads = ["a/__0_0.g1.distcp", "a/__1_0.g1.distcp", "b/video.mp4"];
        assert_eq!(grouped(&[], &uploads), [(Some("a".into()), 0, Some("__0_0.g1.distcp".into()))]);
    }
}
