//! The one line that makes a test of each clause.

/// Generates one `#[test]` for each clause of the contracts of [`StorageWriter`](crate::StorageWriter) and
/// [`StorageReader`](crate::StorageReader).
///
/// The argument makes a fresh, empty place: a function or closure that returns a [`Plug`](crate::conformance::plug::Plug).
/// Whatever it owns (a temporary directory, a server) lives as long as the test.
///
/// A format or storage that honestly lacks a [`Capability`](crate::conformance::plug::Capability) says so, with the
/// reason. The clauses that need it are then reported as ignored, never as passed:
///
/// ```no_run
/// # use std::sync::Arc;
/// # use dcp_storage::{Format, MemoryStore};
/// # use dcp_storage::conformance::plug::ComposedPlug;
/// # fn my_format() -> Arc<dyn Format> { unimplemented!() }
/// dcp_storage::plug_conformance!(
///     || {
///         let store = MemoryStore::new();
///         ComposedPlug::new(my_format(), move || store.clone())
///     },
///     without values = "the format has tensors only",
///     without checksums = "the format has none",
/// );
/// # fn main() {}
/// ```
///
/// The capabilities are `overwrite`, `values`, `objects` and `checksums`. Several invocations in one file go into a
/// module each.
#[macro_export]
macro_rules! plug_conformance {
    ($fresh:expr $(, without $capability:ident = $reason:literal)* $(,)?) => {
        $crate::__plug_without! { ($fresh) (run) (run) (run) (run) $($capability = $reason;)* }
    };
}

/// Works off the list of missing capabilities. The states are those of `overwrite`, `values`, `objects` and `checksums`.
#[doc(hidden)]
#[macro_export]
macro_rules! __plug_without {
    ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt) => {
        $crate::__plug_clauses! { __plug_tests ($fresh $overwrite $values $objects $checksums) }
    };
    ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt overwrite = $reason:literal; $($rest:tt)*) => {
        $crate::__plug_without! { $fresh (skip $reason) $values $objects $checksums $($rest)* }
    };
    ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt values = $reason:literal; $($rest:tt)*) => {
        $crate::__plug_without! { $fresh $overwrite (skip $reason) $objects $checksums $($rest)* }
    };
    ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt objects = $reason:literal; $($rest:tt)*) => {
        $crate::__plug_without! { $fresh $overwrite $values (skip $reason) (skip $reason) $($rest)* }
    };
    ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt checksums = $reason:literal; $($rest:tt)*) => {
        $crate::__plug_without! { $fresh $overwrite $values $objects (skip $reason) $($rest)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plug_tests {
    ($states:tt $($needs:ident $module:ident $name:ident;)*) => {
        $($crate::__plug_test! { $needs $name $states })*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plug_test {
    (Always $name:ident ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt)) => {
        $crate::__plug_test! { @emit $name $fresh (run) }
    };
    (Overwrite $name:ident ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt)) => {
        $crate::__plug_test! { @emit $name $fresh $overwrite }
    };
    (Values $name:ident ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt)) => {
        $crate::__plug_test! { @emit $name $fresh $values }
    };
    (Objects $name:ident ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt)) => {
        $crate::__plug_test! { @emit $name $fresh $objects }
    };
    (Checksums $name:ident ($fresh:tt $overwrite:tt $values:tt $objects:tt $checksums:tt)) => {
        $crate::__plug_test! { @emit $name $fresh $checksums }
    };
    (@emit $name:ident ($fresh:expr) (run)) => {
        #[test]
        fn $name() {
            $crate::conformance::plug::assert_holds(stringify!($name), &($fresh)());
        }
    };
    (@emit $name:ident ($fresh:expr) (skip $reason:literal)) => {
        #[test]
        #[ignore = $reason]
        fn $name() {
            $crate::conformance::plug::assert_holds(stringify!($name), &($fresh)());
        }
    };
}
