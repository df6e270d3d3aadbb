//! The sending ends: the helper that packs, and the host that has something to unpack.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::frame::{FrameReader, FrameWriter, Tag, WireError, number, unexpected};
use crate::archive::Archive;
use crate::digest::{Digest, Hasher};
use crate::list::Lines;
use crate::live::{Running, pack_live};
use crate::manifest::{SegmentRecord, TreeRecord};
use crate::pack::{Ending, PackOptions, Progress, pack};
use crate::pool::LIST;
use crate::sink::{NewSegment, Next, Sealed, Sink, StreamWriter};
use crate::unpack::{Segments, UnpackOptions, unpack_segments};

/// Segments as frames. Workers share the pipe.
struct FrameSink<W> {
    out: Mutex<FrameWriter<W>>,
    known: Mutex<HashSet<Digest>>,
}

struct FrameStream<'a, W: Write> {
    sink: &'a FrameSink<W>,
    number: [u8; 4],
    hasher: Hasher,
    is_sealed: bool,
}

impl<W: Write> FrameSink<W> {
    fn out(&self) -> MutexGuard<'_, FrameWriter<W>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Sink for FrameSink<W> {
    fn begin(&self, stream: u32) -> io::Result<Box<dyn StreamWriter + '_>> {
        let number = stream.to_be_bytes();
        self.out().write(Tag::Begin, &number, &[])?;
        Ok(Box::new(FrameStream {
            sink: self,
            number,
            hasher: Hasher::default(),
            is_sealed: false,
        }))
    }

    fn has(&self, seen: &Digest) -> bool {
        self.known().contains(seen)
    }

    fn keep(&self, segment: &NewSegment, list: &[u8]) -> io::Result<()> {
        let json = serde_json::to_vec(segment)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        let head = [&length.to_be_bytes(), &json[..]].concat();
        self.out().write(Tag::Keep, &head, list)?;
        self.known().extend(segment.seen);
        Ok(())
    }

    fn place(&self, next: Next) -> io::Result<()> {
        let json = serde_json::to_vec(&next)?;
        self.out().write(Tag::Place, &[], &json)
    }

    fn restart(&self) -> io::Result<()> {
        self.out().write(Tag::Restart, &[], &[])
    }
}

impl<W: Write + Send> Write for FrameStream<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.out().write(Tag::Data, &self.number, bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send> StreamWriter for FrameStream<'_, W> {
    fn seal(mut self: Box<Self>) -> io::Result<Sealed> {
        self.sink.out().write(Tag::End, &self.number, &[])?;
        self.is_sealed = true;
        let (sha256, bytes) = std::mem::take(&mut self.hasher).finish();
        Ok(Sealed { sha256, bytes })
    }
}

impl<W: Write> Drop for FrameStream<'_, W> {
    fn drop(&mut self) {
        if !self.is_sealed {
            // A broken pipe shows at the next segment.
            let _later = self.sink.out().write(Tag::Drop, &self.number, &[]);
        }
    }
}

/// Tells the helper, before it packs, what need not be packed again.
pub fn tell_known(known: &[Digest], out: &mut dyn Write) -> Result<(), WireError> {
    let mut out = FrameWriter::new(out);
    let bytes: Vec<u8> = known.iter().flat_map(Digest::bytes).collect();
    out.write(Tag::Known, &[], &bytes)
        .and_then(|()| out.done())
        .map_err(WireError::Write)
}

fn hear_known(input: &mut dyn Read) -> Result<HashSet<Digest>, WireError> {
    let mut frames = FrameReader::new(input);
    let mut bytes = Vec::new();
    let mut known = HashSet::new();
    loop {
        match frames.read(&mut bytes)? {
            Tag::Known => known.extend(bytes.as_chunks().0.iter().copied().map(Digest::from_bytes)),
            Tag::Done => return Ok(known),
            tag => return Err(unexpected(tag, &bytes)),
        }
    }
}

/// Packs the tree at `root` into `out`, but for what the other end knows. A failure is also told to the other end.
pub fn pack_to(
    root: &Path,
    options: &PackOptions,
    input: &mut dyn Read,
    out: impl Write + Send,
) -> Result<(), String> {
    tell_packing(input, out, |sink, progress| {
        pack(root, options, sink, progress).map_err(|error| chain(&error))
    })
}

/// Packs a state into `out` while its daemon runs. Contents may be set aside in a file of no name in `folder`.
pub fn pack_live_to(
    running: Running<'_>,
    options: &PackOptions,
    folder: &Path,
    input: &mut dyn Read,
    out: impl Write + Send,
) -> Result<(), String> {
    tell_packing(input, out, |sink, progress| {
        let packed = pack_live(running, options, (sink, folder), progress);
        packed.map_err(|error| chain(&error))
    })
}

/// Carries what `work` packs to the other end.
fn tell_packing(
    input: &mut dyn Read,
    out: impl Write + Send,
    work: impl FnOnce(&dyn Sink, &mut dyn FnMut(Progress)) -> Result<Ending, String>,
) -> Result<(), String> {
    let known = hear_known(input).map_err(|error| chain(&error))?;
    let sink = FrameSink {
        out: Mutex::new(FrameWriter::new(out)),
        known: Mutex::new(known),
    };
    let mut progress = |progress: Progress| {
        // A broken pipe shows at the next segment.
        let _later = tell_progress(&mut sink.out(), progress);
    };
    let packed = work(&sink, &mut progress);
    let told = packed.and_then(|ending| {
        let json = serde_json::to_vec(&ending).map_err(|error| error.to_string())?;
        let mut out = sink.out();
        out.write(Tag::Ending, &[], &json)
            .and_then(|()| out.done())
            .map_err(|error| error.to_string())
    });
    told.inspect_err(|message| {
        let mut out = sink.out();
        let _broken = out
            .write(Tag::Error, &[], message.as_bytes())
            .and_then(|()| out.done());
    })
}

fn tell_progress<W: Write>(out: &mut FrameWriter<W>, progress: Progress) -> io::Result<()> {
    let numbers =
        [progress.entries, progress.tar_bytes, progress.packed_bytes].map(u64::to_be_bytes);
    out.write(Tag::Progress, numbers.as_flattened(), &[])
}

/// Returns the messages of an error and its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Sends a tree of the archive to the helper that unpacks.
pub fn send(archive: &Archive, tree: &str, out: &mut dyn Write) -> Result<(), WireError> {
    let missing = || WireError::Archive {
        file: tree.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    };
    let tree = archive.tree(tree).ok_or_else(missing)?;
    let directory = archive.tree_directory(tree);
    let failed = |file: &str| {
        let file = file.to_owned();
        move |source| WireError::Archive { file, source }
    };
    let mut out = FrameWriter::new(out);
    let json = serde_json::to_vec(tree).map_err(WireError::Record)?;
    out.write(Tag::Tree, &[], &json).map_err(WireError::Write)?;
    let mut lines = BufReader::new(File::open(directory.join(LIST)).map_err(failed(LIST))?);
    let mut buffer = vec![0; 128 << 10];
    for (number, segment) in (1_u32..).zip(&tree.segments) {
        let number = number.to_be_bytes();
        let mut frame = Vec::new();
        (&mut lines)
            .take(segment.list_bytes)
            .read_to_end(&mut frame)
            .map_err(failed(LIST))?;
        out.write(Tag::Files, &number, &frame)
            .map_err(WireError::Write)?;
        let mut file = File::open(directory.join(&segment.file)).map_err(failed(&segment.file))?;
        loop {
            match file.read(&mut buffer).map_err(failed(&segment.file))? {
                0 => break,
                count => out
                    .write(Tag::Data, &number, &buffer[..count])
                    .map_err(WireError::Write)?,
            }
        }
        out.write(Tag::End, &number, &[])
            .map_err(WireError::Write)?;
    }
    out.done().map_err(WireError::Write)
}

/// Unpacks what `input` brings into `target` and answers into `out`.
pub fn unpack_from(
    input: &mut dyn Read,
    target: &Path,
    options: &UnpackOptions,
    out: &mut dyn Write,
) -> Result<(), String> {
    let mut out = FrameWriter::new(out);
    let unpacked = unpack_frames(input, target, options, &mut out).map_err(|error| chain(&error));
    match &unpacked {
        Ok(()) => out.done().map_err(|error| error.to_string()),
        Err(message) => {
            let _broken = out
                .write(Tag::Error, &[], message.as_bytes())
                .and_then(|()| out.done());
            unpacked
        }
    }
}

fn unpack_frames(
    input: &mut dyn Read,
    target: &Path,
    options: &UnpackOptions,
    out: &mut FrameWriter<&mut dyn Write>,
) -> Result<(), WireError> {
    let mut frames = FrameReader::new(input);
    let mut bytes = Vec::new();
    let tag = frames.read(&mut bytes)?;
    if tag != Tag::Tree {
        return Err(unexpected(tag, &bytes));
    }
    let record: TreeRecord = serde_json::from_slice(&bytes).map_err(WireError::Record)?;
    let mut segments = FromFrames { frames, bytes };
    let mut progress = |progress: Progress| {
        let _later = tell_progress(out, progress);
    };
    let unpacked = unpack_segments(&record, &mut segments, target, options, &mut progress)
        .map_err(WireError::Unpack)?;
    let FromFrames {
        mut frames,
        mut bytes,
    } = segments;
    let tag = frames.read(&mut bytes)?;
    if tag != Tag::Done {
        return Err(unexpected(tag, &bytes));
    }
    let json = serde_json::to_vec(&unpacked.counts).map_err(WireError::Record)?;
    out.write(Tag::Unpacked, &[], &json)
        .map_err(WireError::Write)
}

struct FromFrames<R> {
    frames: FrameReader<R>,
    bytes: Vec<u8>,
}

/// The data frames of one segment, up to its end.
struct SegmentFrames<'a, R> {
    from: &'a mut FromFrames<R>,
    at: usize,
    is_over: bool,
}

impl<R: Read> Segments for FromFrames<R> {
    fn next(&mut self, _: &SegmentRecord) -> io::Result<(Lines, Box<dyn Read + '_>)> {
        let tag = self
            .frames
            .read(&mut self.bytes)
            .map_err(io::Error::other)?;
        if tag != Tag::Files {
            return Err(io::Error::other(unexpected(tag, &self.bytes)));
        }
        let (_, frame) = number(tag, &self.bytes).map_err(io::Error::other)?;
        let files = Lines::new(frame.to_vec())?;
        self.bytes.clear();
        Ok((
            files,
            Box::new(SegmentFrames {
                from: self,
                at: 0,
                is_over: false,
            }),
        ))
    }
}

impl<R: Read> Read for SegmentFrames<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.from.bytes.len() && !self.is_over {
            match self
                .from
                .frames
                .read(&mut self.from.bytes)
                .map_err(io::Error::other)?
            {
                Tag::Data => self.at = 4,
                Tag::End => self.is_over = true,
                tag => return Err(io::Error::other(unexpected(tag, &self.from.bytes))),
            }
        }
        if self.is_over {
            return Ok(0);
        }
        let rest = &self.from.bytes[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
