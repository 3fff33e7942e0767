//! Groups of tenants: how many there are, how many bytes they take, and which they are.
//!
//! The group of a tenant is the part of its name before the first `/`. Counts are written with the images that they count, so that
//! nobody has to read a million images to know how many there are.

use std::collections::BTreeMap;
use std::ops::Bound;

use guest_host::guest_image::Image as ImageFormat;
use redb::{
    Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
    WriteTransaction,
};

use super::{IMAGES, NOTES, RedbReader, RedbStore, RedbStoreError};

/// Tenants of each group, and bytes of their images.
const GROUPS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("groups");

/// Tenants that are removed in one transaction.
const AT_ONCE: usize = 1000;

/// The images of a group of tenants in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// How many there are.
    pub tenants: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A tenant in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub tenant: String,
    /// Number of its state; `None` if its image is damaged.
    pub number: Option<u64>,
    /// Bytes of its image.
    pub bytes: u64,
}

/// Changes of the counts of groups in one transaction.
#[derive(Debug, Default)]
pub(super) struct Changes<'t> {
    by_group: BTreeMap<&'t str, (i64, i64)>,
}

fn group(tenant: &str) -> &str {
    tenant.split('/').next().unwrap_or_default()
}

impl<'t> Changes<'t> {
    /// The image of a tenant had `before` bytes, if there was one, and has `after` bytes now.
    pub(super) fn add(&mut self, tenant: &'t str, before: Option<usize>, after: Option<usize>) {
        let size = |bytes: Option<usize>| bytes.unwrap_or(0).cast_signed() as i64;
        let (tenants, bytes) = self.by_group.entry(group(tenant)).or_default();
        *tenants += i64::from(after.is_some()) - i64::from(before.is_some());
        *bytes += size(after) - size(before);
    }

    pub(super) fn write(self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(GROUPS)?;
        for (group, (tenants, bytes)) in self.by_group {
            if (tenants, bytes) == (0, 0) {
                continue;
            }
            let before = table.get(group)?.map(|usage| usage.value()).unwrap_or_default();
            let now = (before.0.saturating_add_signed(tenants), before.1.saturating_add_signed(bytes));
            match now.0 {
                0 => drop(table.remove(group)?),
                _ => drop(table.insert(group, now)?),
            }
        }
        Ok(())
    }
}

/// Counts the images of a file that was written before there were counts.
pub(super) fn begin(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let images = transaction.open_table(IMAGES)?;
    let is_counted = !transaction.open_table(GROUPS)?.is_empty()?;
    if is_counted || images.is_empty()? {
        return Ok(());
    }
    let mut groups: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for entry in images.iter()? {
        let (tenant, image) = entry?;
        let tenant = tenant.value();
        if !groups.contains_key(group(tenant)) {
            groups.insert(group(tenant).to_owned(), (0, 0));
        }
        if let Some((tenants, bytes)) = groups.get_mut(group(tenant)) {
            *tenants += 1;
            *bytes += image.value().len() as u64;
        }
    }
    let mut table = transaction.open_table(GROUPS)?;
    for (group, usage) in groups {
        table.insert(group.as_str(), usage)?;
    }
    Ok(())
}

/// The first name behind those that begin with `prefix`; `None` if that is not so simple.
fn behind(prefix: &str) -> Option<String> {
    let last = prefix.bytes().last().filter(|last| *last < 0x7F)?;
    Some(format!("{}{}", &prefix[..prefix.len() - 1], char::from(last + 1)))
}

impl RedbReader {
    /// The images of a group: of the tenants whose names begin with it and a `/`.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn usage(&self, group: &str) -> Result<Usage, RedbStoreError> {
        self.with(|database| {
            let found = database.begin_read()?.open_table(GROUPS)?.get(group)?.map(|usage| usage.value());
            let (tenants, bytes) = found.unwrap_or_default();
            Ok(Usage { tenants, bytes })
        })
    }

    /// At most `most` tenants whose names begin with `prefix`, in order; with `after`, those behind that name.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use guest_host::guest_image::{Delta, Identity};
    /// # use guest_tenants::{Image, RedbStore, Store as _};
    /// # let folder = tempfile::tempdir()?;
    /// # let mut store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20)?;
    /// # let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65536], &[]));
    /// # let image = Image { number: 7, delta: Delta::pristine(identity, 65536) };
    /// store.save(&[("chat/ada", &image), ("chat/grace", &image), ("game/ada", &image)])?;
    /// let reader = store.reader();
    /// assert_eq!(reader.usage("chat")?.tenants, 2);
    /// let listed = reader.list("chat/", Some("chat/ada"), 100)?;
    /// assert_eq!((listed[0].tenant.as_str(), listed[0].number, listed.len()), ("chat/grace", Some(7), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, RedbStoreError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(IMAGES)?;
            let begin = match after {
                Some(after) if after >= prefix => Bound::Excluded(after),
                _ => Bound::Included(prefix),
            };
            let mut listed = Vec::new();
            for entry in table.range::<&str>((begin, Bound::Unbounded))?.take(most) {
                let (tenant, image) = entry?;
                if !tenant.value().starts_with(prefix) {
                    break;
                }
                let image = image.value();
                let (number, bytes) = (ImageFormat::number_of(image).ok(), image.len() as u64);
                listed.push(Listed { tenant: tenant.value().to_owned(), number, bytes });
            }
            Ok(listed)
        })
    }
}

impl RedbStore {
    /// Forgets all tenants whose names begin with `prefix`, with their notes, and waits until that is on the disk. Returns how many
    /// images there were. If it fails in between, some of them are forgotten.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be written.
    pub fn remove_all(&mut self, prefix: &str) -> Result<u64, RedbStoreError> {
        self.notes.retain(|tenant, _| !tenant.starts_with(prefix));
        let end = behind(prefix);
        let range = (Bound::Included(prefix), end.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
        let begins = |tenant: &str, _: &[u8]| tenant.starts_with(prefix);
        let mut images = 0;
        loop {
            let removed = self.shared.with(|database| {
                let mut transaction = database.begin_write()?;
                transaction.set_durability(Durability::None)?;
                let (mut removed, mut notes) = (Vec::new(), 0);
                {
                    let mut table = transaction.open_table(IMAGES)?;
                    for entry in table.extract_from_if::<&str, _>(range, begins)?.take(AT_ONCE) {
                        let (tenant, image) = entry?;
                        removed.push((tenant.value().to_owned(), image.value().len()));
                    }
                    let mut changes = Changes::default();
                    removed.iter().for_each(|(tenant, bytes)| changes.add(tenant, Some(*bytes), None));
                    changes.write(&transaction)?;
                    let mut table = transaction.open_table(NOTES)?;
                    for entry in table.extract_from_if::<&str, _>(range, begins)?.take(AT_ONCE) {
                        entry?;
                        notes += 1;
                    }
                }
                transaction.commit()?;
                Ok((removed.len(), notes))
            })?;
            images += removed.0 as u64;
            if removed.0 < AT_ONCE && removed.1 < AT_ONCE {
                self.sync()?;
                return Ok(images);
            }
        }
    }
}
