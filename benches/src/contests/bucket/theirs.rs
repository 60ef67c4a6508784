//! What people save to S3 with from PyTorch, by `torch_bucket.py`.

use std::path::Path;

use crate::Fault;
use crate::contestants::{Python, Who};
use crate::used::Used;

use super::job::{Job, TENSORS, Task};

/// A way from PyTorch to S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Boto3,
    S3TorchConnector,
}

impl Way {
    pub(super) fn name(self) -> Who {
        match self {
            Self::Boto3 => "boto3",
            Self::S3TorchConnector => "s3torchconnector",
        }
    }

    /// Or does it decide by itself how many requests are in flight?
    pub(super) fn is_told_how_many(self) -> bool {
        self == Self::Boto3
    }
}

/// A Python, and what it has.
#[derive(Default)]
pub(super) struct Theirs {
    python: Option<Python>,
    ways: Vec<Way>,
}

impl Theirs {
    /// What is installed; tells what is not.
    pub(super) fn installed(python: Python, url: &str) -> Result<Self, Fault> {
        let names: Vec<String> = serde_json::from_slice(&python.run(SCRIPT, "contestants", Path::new(url), &[])?)?;
        let (ways, others): (Vec<_>, Vec<_>) = [Way::Boto3, Way::S3TorchConnector]
            .into_iter()
            .partition(|way| names.iter().any(|name| name == way.name()));
        for way in others {
            println!("skipped: {} (not installed)", way.name());
        }
        Ok(Self { python: Some(python), ways })
    }

    pub(super) fn ways(&self) -> impl Iterator<Item = Way> {
        self.ways.iter().copied()
    }

    pub(super) fn run(&self, way: Way, task: Task, job: &Job) -> Result<Used, Fault> {
        let python = self.python.as_ref().ok_or("no Python")?;
        let command = format!("{}_{}", task.name(), way.name());
        let mut numbers = vec![TENSORS, job.elements];
        match (way, task) {
            (Way::Boto3, _) => numbers.push(job.in_flight),
            (Way::S3TorchConnector, Task::Save) => numbers.push(job.files),
            _ => {}
        }
        Used::parse(&python.run(SCRIPT, &command, Path::new(&job.url), &numbers)?)
    }
}

const SCRIPT: &str = "torch_bucket.py";
