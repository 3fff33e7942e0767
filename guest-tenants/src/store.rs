//! Where images are that do not fit memory.

use std::collections::HashMap;

use guest_host::guest_image::{Delta, ImageError};

/// The state of a tenant that sleeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Number of the state: of the calls that changed something.
    pub number: u64,
    /// In what it differs from the snapshot of its module.
    pub delta: Delta,
}

/// Where images are that do not fit memory.
pub trait Store {
    /// Its errors.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The image of a tenant; `None` if there is none.
    ///
    /// # Errors
    /// It could not be read.
    fn load(&mut self, tenant: &str) -> Result<Option<Image>, Self::Error>;

    /// Whether there is an image of a tenant.
    ///
    /// # Errors
    /// It could not be read.
    fn contains(&mut self, tenant: &str) -> Result<bool, Self::Error> {
        Ok(self.load(tenant)?.is_some())
    }

    /// Keeps images, each in the place of the tenant's earlier one: all of them, or with an error none.
    ///
    /// # Errors
    /// They could not be written.
    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), Self::Error>;

    /// Forgets a tenant.
    ///
    /// # Errors
    /// It could not be written.
    fn remove(&mut self, tenant: &str) -> Result<(), Self::Error>;
}

/// A store in memory, where images take as many bytes as in a file. It ends with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    images: HashMap<Box<str>, Box<[u8]>>,
}

/// A store in memory fails only if its bytes are damaged.
pub type MemoryStoreError = ImageError;

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of images in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

impl Store for MemoryStore {
    type Error = MemoryStoreError;

    fn load(&mut self, tenant: &str) -> Result<Option<Image>, Self::Error> {
        self.images.get(tenant).map(|bytes| decoded(bytes)).transpose()
    }

    fn contains(&mut self, tenant: &str) -> Result<bool, Self::Error> {
        Ok(self.images.contains_key(tenant))
    }

    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), Self::Error> {
        for (tenant, image) in images {
            self.images.insert((*tenant).into(), encoded(image).into());
        }
        Ok(())
    }

    fn remove(&mut self, tenant: &str) -> Result<(), Self::Error> {
        self.images.remove(tenant);
        Ok(())
    }
}

/// The bytes of an image.
pub(crate) fn encoded(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(image.delta.encoded_bytes()).unwrap_or(0));
    // To write to memory does not fail.
    let _ = image.delta.write_to(image.number, &mut bytes);
    bytes
}

/// The image that has these bytes.
pub(crate) fn decoded(mut bytes: &[u8]) -> Result<Image, ImageError> {
    let read = Delta::read_from(&mut bytes).map_err(|_| ImageError::NoImage)?;
    read.map(|(delta, number)| Image { number, delta })
}
