//! Tests that need a server: `cargo xtask test --only servers` starts those that there are. Or one that runs is named:
//!
//! ```text
//! DCP_TEST_S3=s3://bucket/tests AWS_ENDPOINT_URL=http://127.0.0.1:8014 AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=us-east-1 \
//!     cargo test -p dcp-tests --test object_stores -- --ignored servers
//! ```
//!
//! Each test writes below a prefix of its own.

mod azure;
mod faults;
mod pytorch;
mod races;
mod round_trip;
mod sample;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use dcp_s3::{Access, Bucket, Traffic};
use dcp_tests::{Place, Proxy};

/// A bucket on a server.
struct Server {
    bucket: String,
    endpoint: String,
}

impl Server {
    fn s3() -> Self {
        Self::of("DCP_TEST_S3", "AWS_ENDPOINT_URL")
    }

    fn azure() -> Self {
        Self::of("DCP_TEST_AZURE", "AZURE_STORAGE_ENDPOINT")
    }

    fn of(bucket: &str, endpoint: &str) -> Self {
        let value = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is set, as by `cargo xtask test --only servers`"))
        };
        Self { bucket: value(bucket), endpoint: value(endpoint) }
    }

    /// A URL at which there is nothing.
    fn fresh(&self) -> String {
        format!("{}/{}", self.bucket, uuid::Uuid::new_v4())
    }

    /// Where it listens.
    fn address(&self) -> SocketAddr {
        let address = self.authority().to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        address.unwrap_or_else(|| panic!("{} is the http:// URL of a server with its port", self.endpoint))
    }

    /// A proxy before it.
    fn proxy(&self) -> Proxy {
        Proxy::before(self.address()).expect("a port")
    }

    /// A place on it, reached through a proxy.
    fn through(&self, proxy: &Proxy, url: &str, traffic: Traffic) -> Place {
        let endpoint = self.endpoint.replacen(self.authority(), &proxy.address().to_string(), 1);
        let access = Access::default().endpoint_url(endpoint);
        Arc::new(Bucket::open_with(url, &access).expect("a bucket").traffic(traffic))
    }

    fn authority(&self) -> &str {
        let rest = self.endpoint.strip_prefix("http://").unwrap_or(&self.endpoint);
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }
}

/// A place, reached straight.
fn place(url: &str) -> Place {
    Arc::new(Bucket::open(url).expect("a bucket"))
}
