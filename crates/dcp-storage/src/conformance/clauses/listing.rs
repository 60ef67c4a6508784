//! A list is complete, sorted and of this moment, and goes by component.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, holds, names, noise, path, put};
use crate::{Precondition, Store};

pub(super) async fn list_is_sorted(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    // '-' and '.' sort before '/', '0' after it: walking directory by directory gives another order.
    let sorted = ["A", "a-b", "a.b", "a/b/c", "a/b-c", "a/c", "a0", "b/1", "b/10", "b/2", "ä"];
    let mut expected: Vec<_> = sorted.map(str::to_owned).into();
    expected.sort();
    for name in ["b/2", "a/c", "ä", "a0", "a-b", "b/10", "A", "a/b/c", "b/1", "a/b-c", "a.b"] {
        put(&*store, &path(name), name.as_bytes()).await?;
    }
    equal("the list", names(&*store, None).await?, expected)
}

pub(super) async fn list_has_the_sizes(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let sizes = [("a", 0), ("b", 1), ("c", 4096), ("d/e", 70_001)];
    for (name, size) in sizes {
        put(&*store, &path(name), &noise(21, size)).await?;
    }
    store.publish(&path("f"), &noise(22, 33), Precondition::Absent).await.must("publish")?;
    let listed = store.list(None).await.must("list")?;
    let listed: Vec<_> = listed.into_iter().map(|meta| (String::from(meta.path), meta.size)).collect();
    let expected = sizes.into_iter().chain([("f", 33)]).map(|(name, size)| (name.to_owned(), size as u64)).collect();
    equal("the sizes listed", listed, expected)
}

pub(super) async fn list_goes_by_component(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    fill(&*store, &["a/x", "a/b/x", "a/b/c/x", "a/bc/x", "ab/x", "a-b", "b/a/x"]).await?;
    for (prefix, expected) in [
        ("a", &["a/b/c/x", "a/b/x", "a/bc/x", "a/x"][..]),
        ("a/b", &["a/b/c/x", "a/b/x"]),
        ("a/b/c", &["a/b/c/x"]),
        ("ab", &["ab/x"]),
        ("b", &["b/a/x"]),
    ] {
        let found = names(&*store, Some(&path(prefix))).await?;
        equal(&format!("the list of {prefix}"), found, expected.iter().map(|&name| name.to_owned()).collect())?;
    }
    Ok(())
}

pub(super) async fn list_includes_the_object_named(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    put(&*store, &path("a/b"), b"1234567").await?;
    put(&*store, &path("a/bc"), b"other").await?;
    let listed = store.list(Some(&path("a/b"))).await.must("list")?;
    let listed: Vec<_> = listed.into_iter().map(|meta| (String::from(meta.path), meta.size)).collect();
    equal("the list of an object's own name", listed, vec![("a/b".to_owned(), 7)])
}

pub(super) async fn list_forgets_what_was_deleted(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    fill(&*store, &["a/x", "a/y", "b"]).await?;
    names(&*store, None).await?;
    store.delete(&path("a/x")).await.must("delete")?;
    equal("the list after a delete", names(&*store, None).await?, vec!["a/y".to_owned(), "b".to_owned()])?;
    store.delete(&path("a/y")).await.must("delete")?;
    equal("the list of an emptied prefix", names(&*store, Some(&path("a"))).await?, Vec::new())?;
    equal("the list after deletes", names(&*store, None).await?, vec!["b".to_owned()])
}

pub(super) async fn delete_removes_one_object_only(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    fill(&*store, &["a/b", "a/bc", "a/c/b", "b"]).await?;
    store.delete(&path("a/b")).await.must("delete")?;
    for name in ["a/bc", "a/c/b", "b"] {
        holds(&*store, &path(name), name.as_bytes()).await?;
    }
    equal("how many are left", names(&*store, None).await?.len(), 3)
}

async fn fill(store: &dyn Store, names: &[&str]) -> Checked {
    for name in names {
        put(store, &path(name), name.as_bytes()).await?;
    }
    Ok(())
}
