//! Every valid name works, comes back unchanged, and means itself alone.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, equal, holds, names, path, put};
use crate::{Precondition, Store, StorePath};

pub(super) async fn odd_names_work_and_come_back_unchanged(subject: &dyn Subject) -> Checked {
    works(
        &*subject.open(),
        &[
            " leading and trailing ",
            "two  spaces",
            "percent%20sign",
            "%2e%2e/%2F",
            "ünïcödé/模型/🦀",
            ".hidden/.file",
            "...",
            "dots..and...dots",
            "-rf/--help",
            "~user/$HOME",
            "quote'\"`",
            "a:b;c,d=e&f?g#h",
            "<tag>|{brace}[bracket](paren)",
            "*star*",
            "plus+at@bang!caret^",
            "CON/NUL.txt",
            "trailing.",
            "__0_0.distcp",
            ".metadata",
            "0",
        ],
    )
    .await
}

pub(super) async fn long_component_works(subject: &dyn Subject) -> Checked {
    let ascii = "x".repeat(StorePath::MAX_COMPONENT);
    let unicode = "ü".repeat(StorePath::MAX_COMPONENT / 2);
    works(&*subject.open(), &[&ascii, &unicode, &format!("{}/{}", "d".repeat(StorePath::MAX_COMPONENT), ascii)]).await
}

pub(super) async fn long_path_works(subject: &dyn Subject) -> Checked {
    let component = "y".repeat(127) + "/";
    let longest = component.repeat(8);
    let longest = longest.trim_end_matches('/');
    equal("the suite's longest path", longest.len(), StorePath::MAX_LENGTH - 1)?;
    works(&*subject.open(), &[longest]).await
}

pub(super) async fn deep_nesting_works(subject: &dyn Subject) -> Checked {
    let deep = "d/".repeat(200) + "object";
    works(&*subject.open(), &[&deep, "d/shallow"]).await
}

pub(super) async fn similar_names_are_different_objects(subject: &dyn Subject) -> Checked {
    works(
        &*subject.open(),
        &["a b", "a%20b", "a+b", "a  b", " a b", "a b ", "a b.", ".a b", "a%2520b", "d/e", "d%2Fe", "d%2fe", "d_e"],
    )
    .await
}

pub(super) async fn names_in_another_case_or_normal_form_are_different_objects(subject: &dyn Subject) -> Checked {
    // The last two are one letter to the eye: precomposed, and composed of two characters.
    works(&*subject.open(), &["name", "Name", "NAME", "dir/x", "Dir/x", "\u{e4}", "a\u{308}"]).await
}

/// Each name holds its own content, by upload and by publish, and the list gives them all back.
async fn works(store: &dyn Store, odd: &[&str]) -> Checked {
    for (index, name) in odd.iter().enumerate() {
        let (path, content) = (path(name), name.as_bytes());
        if index % 2 == 0 {
            put(store, &path, content).await?;
        } else {
            let published = store.publish(&path, content, Precondition::Absent).await;
            published.map_err(|error| format!("publish of {name:?} gave {error:?}"))?;
        }
    }
    let mut expected: Vec<_> = odd.iter().map(|&name| name.to_owned()).collect();
    expected.sort();
    equal("the names listed", names(store, None).await?, expected)?;
    for name in odd {
        holds(store, &path(name), name.as_bytes()).await?;
    }
    Ok(())
}
