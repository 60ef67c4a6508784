//! What the demo says.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use dcp::{LoadReport, ReadReport, SaveReport, WriteReport};

use super::Place;
use super::cluster::Cluster;
use super::damage::Found;
use super::model::Model;
use crate::columns::{Align, Columns};
use crate::units::{bytes, count, printable, rate, time};

pub(super) fn model(out: &mut dyn Write, model: &Model) -> io::Result<()> {
    let tensors = count(model.tensors().count() as u64, "tensor");
    let values = count(model.values().count() as u64, "value");
    writeln!(out, "Model: {}, {tensors} of {} and {values}", printable(&model.title), bytes(model.nbytes()))?;
    out.flush()
}

pub(super) fn saved(
    out: &mut dyn Write,
    model: &Model,
    cluster: &Cluster,
    report: &SaveReport,
    place: &Place,
) -> io::Result<()> {
    writeln!(out, "\nSaved from {}", cluster.title)?;
    if place.is_kept() {
        writeln!(out, "  into {}", place.path().display())?;
    }
    let mut placed: BTreeMap<String, u64> = BTreeMap::new();
    for (_, tensor) in model.tensors() {
        *placed.entry(cluster.placements(tensor)).or_default() += 1;
    }
    for (placements, tensors) in placed {
        writeln!(out, "  {} as {placements}", count(tensors, "tensor"))?;
    }
    let row = |name: String, report: WriteReport| {
        vec![name, bytes(report.data), bytes(report.written), report.files.to_string()]
    };
    let mut rows = vec![["rank", "data", "written", "files"].map(str::to_owned).to_vec()];
    rows.extend(report.ranks.iter().map(|(rank, report)| row(rank.to_string(), *report)));
    rows.push(row("all".into(), report.total()));
    Columns::new([Align::Right; 4]).write_all(out, 2, &rows)?;
    let (took, speed) = (time(report.elapsed), rate(report.total().data, report.elapsed));
    writeln!(out, "  in {took} ({speed}), and safe on the disk")?;
    out.flush()
}

pub(super) fn loaded(out: &mut dyn Write, cluster: &Cluster, report: &LoadReport) -> io::Result<()> {
    writeln!(out, "\nLoaded on {}", cluster.title)?;
    let row = |name: String, report: ReadReport| {
        let ratio = |part: u64| part as f64 / report.needed.max(1) as f64;
        let whole = report.whole_chunks;
        vec![
            name,
            bytes(report.needed),
            bytes(report.read),
            format!("{:.3}x", ratio(report.read)),
            bytes(whole),
            format!("{:.3}x", ratio(whole)),
            format!("{:.1}%", 100.0 * ratio(report.verified)),
        ]
    };
    let head = ["rank", "needed", "read", "ratio", "whole chunks", "ratio", "verified"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.ranks.iter().map(|(rank, report)| row(rank.to_string(), *report)));
    rows.push(row("all".into(), report.total()));
    Columns::new([Align::Right; 7]).write_all(out, 2, &rows)?;
    if report.total().read > report.total().needed {
        writeln!(out, "  (what lies between wanted runs shorter than 4 KiB is read with them)")?;
    }
    let (took, speed) = (time(report.elapsed), rate(report.total().needed, report.elapsed));
    writeln!(out, "  in {took} ({speed}); every byte is as it was saved")?;
    out.flush()
}

pub(super) fn compared(out: &mut dyn Write, model: &Model, elapsed: Duration) -> io::Result<()> {
    let tensors = count(model.tensors().count() as u64, "tensor");
    let (took, speed) = (time(elapsed), rate(model.nbytes(), elapsed));
    writeln!(out, "\nRead whole, one after the other: {tensors} of {}", bytes(model.nbytes()))?;
    writeln!(out, "  in {took} ({speed}); every byte is as it was saved")?;
    out.flush()
}

pub(super) fn damaged(out: &mut dyn Write, found: &Option<Found>) -> io::Result<()> {
    let Some(Found { fqn, file, offset, rank, message }) = found else {
        return writeln!(out, "\nThe model has no bytes of which one could be damaged.");
    };
    writeln!(out, "\nFlipped one bit of {} (in byte {offset} of {file})", printable(fqn.as_str()))?;
    writeln!(out, "  rank {rank} says: {}", printable(message))?;
    writeln!(out, "  so the load failed on every rank; the bit was put back, and the tensor reads well again")
}
