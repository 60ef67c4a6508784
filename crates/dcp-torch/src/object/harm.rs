//! Globals that a pickle names only to run something.

use dcp_storage::StorageError;
use dcp_types::Value;

/// Modules of which nothing belongs into a state.
const MODULES: &[&str] = &[
    "_io",
    "_osx_support",
    "_posixsubprocess",
    "aiohttp",
    "asyncio",
    "bdb",
    "cProfile",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "distutils",
    "doctest",
    "ftplib",
    "http",
    "httplib",
    "idlelib",
    "imaplib",
    "importlib",
    "io",
    "linecache",
    "logging",
    "marshal",
    "multiprocessing",
    "nt",
    "ntpath",
    "operator",
    "os",
    "paramiko",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "poplib",
    "posix",
    "posixpath",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "rlcompleter",
    "runpy",
    "shelve",
    "shutil",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "telnetlib",
    "timeit",
    "trace",
    "turtle",
    "types",
    "urllib",
    "urllib2",
    "urllib3",
    "venv",
    "webbrowser",
    "winreg",
    "xmlrpc",
    "zipimport",
];

/// What `builtins` has of plain types; everything else there runs or looks up something.
const BUILTIN_TYPES: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "long",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
    "unicode",
    "xrange",
];

/// Single functions of otherwise harmless modules.
const FUNCTIONS: &[&str] = &[
    "functools.partial",
    "functools.reduce",
    "numpy.f2py",
    "numpy.load",
    "numpy.testing._private.utils.runstring",
    "torch.hub.load",
    "torch.load",
    "torch.serialization.load",
];

/// The error that a value of this name is, if it would do harm.
pub(crate) fn harm_in(value: &Value, name: &str) -> Option<StorageError> {
    let Value::Opaque(opaque) = value else { return None };
    let globals = harmful(opaque.globals.iter().map(AsRef::as_ref));
    (!globals.is_empty()).then(|| StorageError::Harmful { what: name.to_owned(), decoder: "PyTorch", globals })
}

/// Of these globals (as `os.system`), those with which a pickle would do harm. There is no use for them in a state; a list like
/// this one cannot be complete, so that a global that is not on it is not thereby safe.
pub(super) fn harmful<'g>(globals: impl IntoIterator<Item = &'g str>) -> Vec<String> {
    globals.into_iter().filter(|global| does_harm(global)).map(ToOwned::to_owned).collect()
}

fn does_harm(global: &str) -> bool {
    let below = |parent: &str| global.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if let Some((_, name)) = global.split_once('.').filter(|(module, _)| ["builtins", "__builtin__"].contains(module)) {
        return !BUILTIN_TYPES.contains(&name);
    }
    MODULES.iter().any(|module| below(module)) || FUNCTIONS.iter().any(|function| below(function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_things_is_told_from_what_does_not() {
        let all = ["os.system", "posix.system", "builtins.eval", "__builtin__.getattr", "subprocess.Popen", "io.open"];
        assert_eq!(harmful(all), all);
        assert!(
            harmful(["builtins.set", "argparse.Namespace", "numpy.ndarray", "osmium.Reader", "my.os.system"])
                .is_empty()
        );
    }
}
