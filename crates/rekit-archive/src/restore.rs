//! `RESTORE.md`: how to get everything back by hand, with stock tools.

use crate::manifest::Manifest;

/// The file's name.
pub(crate) const RESTORE: &str = "RESTORE.md";

/// Returns the text; each command in it is tried by a test.
pub(crate) fn text(manifest: &Manifest) -> String {
    let mut text = format!(
        "# Restore `{}` by hand\n\n\
         You need root, `sha256sum`, `zstd` and GNU `tar`. Run the commands in the directory of this file.\n\n\
         First see that nothing is damaged. Each line must end in `OK`:\n\n\
         ```sh\nsha256sum --quiet -c SHA256SUMS\n```\n",
        manifest.id
    );
    for tree in &manifest.trees {
        text.push_str(&format!(
            "\n## Tree `{name}`\n\n\
             {files} files, {directories} directories, {bytes} bytes. `TARGET` must be an empty directory.\n\n\
             ```sh\n\
             find trees/{name} -name '*.tar.zst' -print0 | LC_ALL=C sort -z | xargs -0 cat | zstd -dcq \\\n  \
             | LC_ALL=C tar --xattrs --xattrs-include='*' --numeric-owner -xpf - -C \"$TARGET\"\n\
             ```\n\n\
             All the options are needed: without them layers lose their marks, and a cache restored so builds wrong images without a word.\n",
            name = tree.name,
            files = tree.counts.files,
            directories = tree.counts.directories,
            bytes = tree.counts.bytes,
        ));
    }
    if !manifest.files.is_empty() {
        text.push_str("\n## Further files\n\n");
        for file in &manifest.files {
            text.push_str(&format!("- `{}`, {} bytes\n", file.name, file.bytes));
        }
    }
    text
}
