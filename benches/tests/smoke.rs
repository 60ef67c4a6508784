//! The program runs to its end, on tiny sizes and without PyTorch. How fast anything is does not matter here.

use std::error::Error;
use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn what_can_be_measured_is_and_the_rest_is_named() -> Result<(), Box<dyn Error>> {
    let (files, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = bench.args(["--tiny", "--dir"]).arg(files.path()).arg("--out").arg(out.path()).output()?;
    let printed = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let results: Value = serde_json::from_slice(&fs::read(out.path().join("results.json"))?)?;
    let page = fs::read_to_string(out.path().join("results.md"))?;
    let comparisons = results["comparisons"].as_array().ok_or("no comparisons")?;
    let names: Vec<_> = comparisons.iter().filter_map(|comparison| comparison["name"].as_str()).collect();
    for name in ["limits", "save", "durable", "load", "columns", "slice", "small", "memory", "repeat"] {
        assert!(names.contains(&name), "{name} is missing:\n{printed}");
        assert!(printed.contains(&format!("\n{name}: ")), "{name} is not printed:\n{printed}");
        assert!(page.contains(&format!("![{name}]({name}.svg)")), "{name} is not on the page:\n{page}");
        assert!(fs::read_to_string(out.path().join(format!("{name}.svg")))?.starts_with("<svg"), "{name}");
    }
    for comparison in comparisons {
        let rows = comparison["rows"].as_array().ok_or("no rows")?;
        let figures = rows.iter().flat_map(|row| row["figures"].as_array()).flatten();
        assert!(figures.clone().count() > 0 && figures.clone().all(|figure| figure["median"].is_f64()), "{comparison}");
    }
    let left_out: Vec<_> = results["left_out"].as_array().into_iter().flatten().map(|what| &what["what"]).collect();
    for name in ["PyTorch", "convert", "torch-read"] {
        assert!(left_out.iter().any(|what| *what == name), "{name} is not named as left out: {left_out:?}");
    }
    // Nothing is left lying about.
    assert_eq!(fs::read_dir(files.path())?.count(), 0);
    Ok(())
}

#[test]
fn what_is_not_known_is_not_measured() -> Result<(), Box<dyn Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(["--only", "nothing"]).output()?;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("limits") && said.contains("torch-read"), "{said}");
    Ok(())
}
