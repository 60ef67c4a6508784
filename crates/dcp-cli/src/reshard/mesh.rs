//! Meshes on the command line.

use dcp::DeviceMesh;

/// The mesh that `dp=2,tp=4` stands for.
pub(crate) fn parse(text: &str) -> Result<DeviceMesh, String> {
    let dimension = |part: &str| {
        let (name, size) = part.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), size.parse::<u32>().ok()?))
    };
    let dimensions: Option<(Vec<String>, Vec<u32>)> = text.split(',').map(dimension).collect();
    let (names, sizes) = dimensions.ok_or("a mesh is names and sizes, as dp=2,tp=4")?;
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(format!("two dimensions are called {:?}", twice.1));
    }
    DeviceMesh::new(sizes).and_then(|mesh| mesh.with_names(names)).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meshes_have_names_and_sizes() {
        let mesh = parse("dp=2,tp=4").expect("a mesh");
        assert_eq!((mesh.shape(), mesh.names()), (&[2, 4][..], &["dp".to_owned(), "tp".to_owned()][..]));
        for bad in ["", "2", "dp", "dp=", "=2", "dp=0", "dp=2,", "dp=2,dp=3", "dp=-1", "dp=99999,tp=99999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
