//! `dcpctl consolidate`.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use dcp::{Converter, LightningForm};

use crate::args::{Consolidate, Form};
use crate::convert::{Rewriting, write};
use crate::failure::Failure;

pub(crate) fn consolidate(rewriting: Rewriting<'_>, args: &Consolidate, out: &mut dyn Write) -> Result<(), Failure> {
    let form = args.form.map(|form| match form {
        Form::Fabric => LightningForm::Fabric,
        Form::Trainer => LightningForm::Trainer,
    });
    write(Converter::new().consolidate(form), rewriting, &args.writing, out)
}

/// The file to write: the one that is named, or one beside the checkpoint.
pub(crate) fn output(args: &Consolidate) -> Result<OsString, Failure> {
    if let Some(output) = &args.output {
        return Ok(output.clone());
    }
    beside(&args.checkpoint).ok_or_else(|| {
        let checkpoint = Path::new(&args.checkpoint).display();
        Failure::Impossible(format!(
            "{checkpoint} has no name to which .consolidated could be added; say with -o what to write"
        ))
    })
}

/// The name that Lightning gives to what it makes of a checkpoint.
fn beside(checkpoint: &OsStr) -> Option<OsString> {
    if let Some(url) = checkpoint.to_str().filter(|text| text.contains("://")) {
        let url = url.trim_end_matches('/');
        // A bucket has no name that another one could be made of.
        let has_name = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        return has_name.then(|| format!("{url}.consolidated").into());
    }
    let path = Path::new(checkpoint);
    let mut name = path.file_name()?.to_owned();
    name.push(".consolidated");
    Some(path.with_file_name(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_directory_and_an_ending() {
        let cases = [
            ("run/epoch=3.ckpt", Some("run/epoch=3.ckpt.consolidated")),
            ("run/step-1/", Some("run/step-1.consolidated")),
            ("step-1/.", Some("step-1.consolidated")),
            ("vendor://bucket/run/step-1/", Some("vendor://bucket/run/step-1.consolidated")),
            ("s3://bucket/", None),
            ("..", None),
            (".", None),
            ("/", None),
        ];
        for (checkpoint, expected) in cases {
            assert_eq!(beside(checkpoint.as_ref()).as_deref(), expected.map(OsStr::new), "{checkpoint}");
        }
    }
}
