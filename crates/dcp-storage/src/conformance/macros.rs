//! The one line that makes a test of each clause.

/// Generates one `#[test]` for each clause of the contract of [`Store`](crate::Store).
///
/// The argument makes a fresh, empty place: a function or closure that returns a
/// [`Subject`](crate::conformance::Subject), most simply a closure that opens a new handle each time.
/// Whatever that closure owns (a temporary directory, a server) lives as long as the test.
///
/// ```no_run
/// # use dcp_storage::MemoryStore;
/// # struct TempBucket;
/// # impl TempBucket {
/// #     fn new() -> Self { Self }
/// #     fn open(&self) -> MemoryStore { MemoryStore::new() }
/// # }
/// mod my_store {
///     # use super::*;
///     dcp_storage::store_conformance!(|| {
///         let bucket = TempBucket::new();
///         move || bucket.open()
///     });
/// }
/// # fn main() {}
/// ```
///
/// A store that honestly lacks a [`Capability`](crate::conformance::Capability) says so, with the reason. The
/// clauses that need it are then reported as ignored, never as passed:
///
/// ```no_run
/// # use dcp_storage::MemoryStore;
/// dcp_storage::store_conformance!(
///     || MemoryStore::new,
///     without reopen = "each handle is a store of its own",
///     without unfinished = "no other handle sees an upload",
///     without exact_names = "names are compared without regard to case",
/// );
/// # fn main() {}
/// ```
///
/// The capabilities are `replace`, `reopen`, `exact_names`, `unfinished` (which takes `reopen`) and `shared` (which takes
/// `unfinished`). Several invocations in one file go into a module each.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:expr $(, without $capability:ident = $reason:literal)* $(,)?) => {
        $crate::__store_without! { ($fresh) (run) (run) (run) (run) (run) $($capability = $reason;)* }
    };
}

/// Works off the list of missing capabilities. The five states are those of `replace`, `reopen`,
/// `exact_names`, `unfinished` and `shared`.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_without {
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt) => {
        $crate::__store_clauses! { __store_tests ($fresh $replace $reopen $exact $unfinished $shared) }
    };
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt replace = $reason:literal; $($rest:tt)*) => {
        $crate::__store_without! { $fresh (skip $reason) $reopen $exact $unfinished $shared $($rest)* }
    };
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt reopen = $reason:literal; $($rest:tt)*) => {
        $crate::__store_without! { $fresh $replace (skip $reason) $exact $unfinished $shared $($rest)* }
    };
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt exact_names = $reason:literal; $($rest:tt)*) => {
        $crate::__store_without! { $fresh $replace $reopen (skip $reason) $unfinished $shared $($rest)* }
    };
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt unfinished = $reason:literal; $($rest:tt)*) => {
        $crate::__store_without! { $fresh $replace $reopen $exact (skip $reason) (skip $reason) $($rest)* }
    };
    ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt shared = $reason:literal; $($rest:tt)*) => {
        $crate::__store_without! { $fresh $replace $reopen $exact $unfinished (skip $reason) $($rest)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ($states:tt $($needs:ident $module:ident $name:ident;)*) => {
        $($crate::__store_test! { $needs $name $states })*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_test {
    (Always $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh (run) }
    };
    (Replace $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh $replace }
    };
    (Reopen $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh $reopen }
    };
    (ExactNames $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh $exact }
    };
    (Shared $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh $shared }
    };
    (Unfinished $name:ident ($fresh:tt $replace:tt $reopen:tt $exact:tt $unfinished:tt $shared:tt)) => {
        $crate::__store_test! { @emit $name $fresh $unfinished }
    };
    (@emit $name:ident ($fresh:expr) (run)) => {
        #[test]
        fn $name() {
            $crate::conformance::assert_holds(stringify!($name), &($fresh)());
        }
    };
    (@emit $name:ident ($fresh:expr) (skip $reason:literal)) => {
        #[test]
        #[ignore = $reason]
        fn $name() {
            $crate::conformance::assert_holds(stringify!($name), &($fresh)());
        }
    };
}
