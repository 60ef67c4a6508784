//! An object that is being written.

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, StorageError, Upload};

use crate::beneath;
use crate::site::Site;
use crate::temp::Temp;

#[derive(Debug)]
pub(crate) struct LocalUpload {
    site: Site,
    temp: Temp,
}

impl LocalUpload {
    pub(crate) fn new(site: Site, temp: Temp) -> Self {
        Self { site, temp }
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.temp.write(data).map_err(self.site.io("write"))
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let Self { site, mut temp } = *self;
        temp.flush().map_err(site.io("finish"))?;
        if let Err(error) = temp.place_new(site.leaf()) {
            let found = beneath::look(temp.dir(), site.leaf()).map_err(site.io("finish"))?;
            return Err(match found {
                Some(found) if error.kind() == std::io::ErrorKind::AlreadyExists => site.taken(&found),
                _ => site.io("finish")(error),
            });
        }
        temp.flush_name().map_err(site.io("finish"))?;
        Ok(site.meta(temp.written()))
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        let Self { site, temp } = *self;
        temp.remove().map_err(site.io("abort"))
    }
}
