//! Reads a copy of a bbolt database: its buckets and keys, and whether its pages hold together.
//!
//! Source of the format: go.etcd.io/bbolt v1.4, page.go, meta.go, bucket.go. Numbers are little endian, as on every platform that
//! rekit runs on. Never for a database in use: bbolt locks it, and its pages move.

use std::collections::HashSet;
use std::io;

use thiserror::Error;

use crate::segment::Content;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const PAGE_HEADER: usize = 16;
const ELEMENT: usize = 16;
/// Magic, version, page size, flags, root, sequence, freelist, high water, transaction.
const META_SUMMED: usize = 56;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const META: u16 = 4;
const IS_BUCKET: u32 = 1;
/// A tree of more levels than this is none.
const DEEPEST: usize = 64;
/// No page, with what overflows, is larger.
const LARGEST: usize = 1 << 30;

/// The database cannot be read.
#[derive(Debug, Error)]
pub(crate) enum BoltError {
    /// The file could not be read.
    #[error("could not read the database")]
    Read(#[source] io::Error),
    /// Neither of the two heads is valid.
    #[error("neither head of the database is valid")]
    NoHead,
    /// A page is not what it should be.
    #[error("page {page} of the database is damaged: {fault}")]
    Page {
        /// Its number.
        page: u64,
        /// What is wrong.
        fault: &'static str,
    },
}

/// A database, as of its last whole transaction.
pub(crate) struct Database<'a> {
    content: &'a dyn Content,
    page_bytes: usize,
    root: u64,
    pages: u64,
}

/// One key of a bucket.
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Bytes(Vec<u8>),
    Bucket(Bucket),
}

/// Where a bucket's keys lie: on a page of their own, or inside the value.
pub(crate) enum Bucket {
    Page(u64),
    Inline(Vec<u8>),
}

/// Takes each key of a bucket.
type Take<'a> = &'a mut dyn FnMut(Item) -> Result<(), BoltError>;

struct Head {
    page_bytes: u32,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl<'a> Database<'a> {
    /// Opens the database in `content`.
    pub(crate) fn open(content: &'a dyn Content) -> Result<Self, BoltError> {
        let first = head(content, 0)?;
        // The second head lies one page on. Where the first is damaged, nothing says how large a page is.
        let size = first.as_ref().map(|head| u64::from(head.page_bytes));
        let sizes = size.map_or_else(
            || vec![4096, 16_384, 65_536, 8192, 32_768],
            |size| vec![size],
        );
        let seconds = sizes.into_iter().filter_map(|size| {
            let head = head(content, size).ok().flatten();
            head.filter(|head| u64::from(head.page_bytes) == size)
        });
        let newest = first.into_iter().chain(seconds);
        let newest = newest.max_by_key(|head| head.transaction);
        let head = newest.ok_or(BoltError::NoHead)?;
        Ok(Self {
            content,
            page_bytes: head.page_bytes as usize,
            root: head.root,
            pages: head.pages,
        })
    }

    /// Returns the bucket that holds all others.
    pub(crate) fn root(&self) -> Bucket {
        Bucket::Page(self.root)
    }

    /// Gives each key of a bucket to `take`, in their order.
    pub(crate) fn each(&self, bucket: &Bucket, take: Take<'_>) -> Result<(), BoltError> {
        match bucket {
            Bucket::Page(page) => self.walk(*page, take, &mut HashSet::new(), 0),
            Bucket::Inline(page) => leaf(0, page, take),
        }
    }

    /// Returns the bucket of this name in another one.
    pub(crate) fn bucket(&self, of: &Bucket, name: &[u8]) -> Result<Option<Bucket>, BoltError> {
        let mut found = None;
        self.each(of, &mut |item| {
            if let Value::Bucket(bucket) = item.value
                && item.key == name
            {
                found = Some(bucket);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Reads every page that is in use; returns the number of keys of each bucket that lies in the root.
    pub(crate) fn check(&self) -> Result<Vec<(Vec<u8>, u64)>, BoltError> {
        let mut counts = Vec::new();
        self.each(&self.root(), &mut |item| {
            let count = match &item.value {
                Value::Bytes(_) => 0,
                Value::Bucket(bucket) => self.count(bucket, 1)?,
            };
            counts.push((item.key, count));
            Ok(())
        })?;
        Ok(counts)
    }

    /// Counts the keys of a bucket, and reads all buckets in it.
    fn count(&self, bucket: &Bucket, depth: usize) -> Result<u64, BoltError> {
        let mut keys = 0;
        self.each(bucket, &mut |item| {
            keys += 1;
            if let Value::Bucket(inner) = &item.value {
                if depth >= DEEPEST {
                    return Err(damaged(0, "buckets in buckets without end"));
                }
                self.count(inner, depth + 1)?;
            }
            Ok(())
        })?;
        Ok(keys)
    }

    fn walk(
        &self,
        number: u64,
        take: Take<'_>,
        seen: &mut HashSet<u64>,
        depth: usize,
    ) -> Result<(), BoltError> {
        if !seen.insert(number) || depth > DEEPEST {
            return Err(damaged(number, "it is reached twice"));
        }
        let page = self.page(number)?;
        match u16_at(&page, 8) {
            Some(LEAF) => leaf(number, &page, take),
            Some(BRANCH) => {
                for index in 0..elements(number, &page)? {
                    let at = PAGE_HEADER + index * ELEMENT;
                    let child = u64_at(&page, at + 8).ok_or_else(|| cut(number))?;
                    self.walk(child, take, seen, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(damaged(number, "it is neither branch nor leaf")),
        }
    }

    /// Reads a page with what overflows from it.
    fn page(&self, number: u64) -> Result<Vec<u8>, BoltError> {
        if number < 2 || number >= self.pages {
            return Err(damaged(number, "it lies outside of the database"));
        }
        let offset = number * self.page_bytes as u64;
        let mut page = vec![0; self.page_bytes];
        read(self.content, &mut page, offset)?;
        if u64_at(&page, 0) != Some(number) {
            return Err(damaged(number, "it bears another number"));
        }
        let overflow = u32_at(&page, 12).ok_or_else(|| cut(number))? as usize;
        let bytes = overflow
            .checked_add(1)
            .and_then(|pages| pages.checked_mul(self.page_bytes));
        let bytes = bytes
            .filter(|bytes| *bytes <= LARGEST)
            .filter(|_| number.saturating_add(overflow as u64) < self.pages)
            .ok_or_else(|| damaged(number, "it overflows the database"))?;
        if bytes > page.len() {
            page.resize(bytes, 0);
            let rest = offset + self.page_bytes as u64;
            read(self.content, &mut page[self.page_bytes..], rest)?;
        }
        Ok(page)
    }
}

fn head(content: &dyn Content, offset: u64) -> Result<Option<Head>, BoltError> {
    let mut page = [0; PAGE_HEADER + META_SUMMED + 8];
    read(content, &mut page, offset)?;
    let meta = &page[PAGE_HEADER..];
    let number = |at| u64_at(meta, at).unwrap_or(0);
    let short = |at| u32_at(meta, at).unwrap_or(0);
    let is_valid = u16_at(&page, 8) == Some(META)
        && short(0) == MAGIC
        && short(4) == VERSION
        && number(META_SUMMED) == fnv(&meta[..META_SUMMED])
        && (512..=1 << 20).contains(&short(8));
    Ok(is_valid.then(|| Head {
        page_bytes: short(8),
        root: number(16),
        pages: number(40),
        transaction: number(48),
    }))
}

/// The sum over a head: 64-bit FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn leaf(number: u64, page: &[u8], take: Take<'_>) -> Result<(), BoltError> {
    if u16_at(page, 8) != Some(LEAF) {
        return Err(damaged(number, "it is no leaf"));
    }
    for index in 0..elements(number, page)? {
        let at = PAGE_HEADER + index * ELEMENT;
        let [flags, position, key, value] =
            [0, 4, 8, 12].map(|field| u32_at(page, at + field).unwrap_or(0));
        let key_at = at + position as usize;
        let value_at = key_at + key as usize;
        let key = page.get(key_at..value_at);
        let value = page.get(value_at..value_at + value as usize);
        let (key, value) = key.zip(value).ok_or_else(|| cut(number))?;
        let value = if flags & IS_BUCKET == 0 {
            Value::Bytes(value.to_vec())
        } else {
            let root = u64_at(value, 0).ok_or_else(|| cut(number))?;
            Value::Bucket(match value.get(16..) {
                Some(page) if root == 0 => Bucket::Inline(page.to_vec()),
                _ => Bucket::Page(root),
            })
        };
        let key = key.to_vec();
        take(Item { key, value })?;
    }
    Ok(())
}

fn elements(number: u64, page: &[u8]) -> Result<usize, BoltError> {
    let count = usize::from(u16_at(page, 10).ok_or_else(|| cut(number))?);
    if PAGE_HEADER + count * ELEMENT > page.len() {
        return Err(cut(number));
    }
    Ok(count)
}

fn read(content: &dyn Content, buffer: &mut [u8], offset: u64) -> Result<(), BoltError> {
    let mut done = 0;
    while done < buffer.len() {
        let count = content.read_at(&mut buffer[done..], offset + done as u64);
        match count.map_err(BoltError::Read)? {
            0 => return Err(BoltError::Read(io::ErrorKind::UnexpectedEof.into())),
            count => done += count,
        }
    }
    Ok(())
}

fn damaged(page: u64, fault: &'static str) -> BoltError {
    BoltError::Page { page, fault }
}

fn cut(page: u64) -> BoltError {
    damaged(page, "what it names lies outside of it")
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}
