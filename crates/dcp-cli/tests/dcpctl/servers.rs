//! The command over real servers: `DCP_TEST_S3` and `DCP_TEST_AZURE` are URLs of places in buckets; how these are reached the environment says.

use std::env;
use std::sync::Arc;

use dcp::Store;
use dcp_s3::Bucket;

use crate::buckets::{Reach, every_command};
use crate::support::{Said, dcpctl};

struct Server(String);

impl Reach for Server {
    fn dcpctl(&self, args: &[&str]) -> Said {
        let is_quiet = ["convert", "reshard", "consolidate"].contains(&args[0]).then_some("--quiet");
        dcpctl(args.iter().copied().chain(is_quiet))
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    fn store(&self, name: &str) -> Arc<dyn Store> {
        Arc::new(Bucket::open(&self.url(name)).expect("the way to the bucket is known"))
    }
}

#[test]
#[ignore = "needs a server of S3's interface, named by DCP_TEST_S3"]
fn every_command_works_over_s3() {
    every_command(&server("DCP_TEST_S3"));
}

#[test]
#[ignore = "needs a server of Azure's interface, named by DCP_TEST_AZURE"]
fn every_command_works_over_azure() {
    every_command(&server("DCP_TEST_AZURE"));
}

/// What a server is told on the command line counts.
#[test]
#[ignore = "needs a server of S3's interface, named by DCP_TEST_S3"]
fn the_endpoint_may_be_an_option() {
    let Server(url) = server("DCP_TEST_S3");
    let endpoint = "http://127.0.0.1:1";
    let said = dcpctl(["ls", &url, "--endpoint-url", endpoint]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "nobody listens there: {said:?}");
}

/// A place of this test's own below the one that is named.
fn server(variable: &str) -> Server {
    let place = env::var(variable).unwrap_or_else(|_| panic!("{variable} names no place"));
    let unique = tempfile::tempdir().expect("temporary directory");
    let unique =
        unique.path().file_name().and_then(|name| name.to_str()).expect("text").trim_start_matches('.').to_owned();
    Server(format!("{}/dcpctl-{unique}", place.trim_end_matches('/')))
}
