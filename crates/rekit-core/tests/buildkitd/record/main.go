// Records what real buildkitd daemons do with every configuration of cases.txt, and which keys their two TOML readers leave unread.
//
//	cd crates/rekit-core/tests/buildkitd/record
//	go run -mod=mod . ../cases.txt 0.17.3=/path/to/buildkitd 0.32.2=/path/to/buildkitd
//
// A case is `=== name`, the configuration, then lines beginning with `@@@` that this program writes.
// With `-oracle` it reads JSON strings from stdin, one a line, and answers each with the two readers alone, for fuzzing.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/moby/buildkit/cmd/buildkitd/config"
	v1 "github.com/pelletier/go-toml"
	v2 "github.com/pelletier/go-toml/v2"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-oracle" {
		oracle()
		return
	}
	path := os.Args[1]
	text, err := os.ReadFile(path)
	check(err)
	blocks := strings.Split("\n"+string(text), "\n=== ")
	out := blocks[0][min(1, len(blocks[0])):]
	for i, block := range blocks[1:] {
		name, body, _ := strings.Cut(block, "\n")
		toml, _, _ := strings.Cut("\n"+body, "\n@@@")
		toml = strings.TrimPrefix(toml, "\n")
		toml = strings.TrimRight(toml, "\n") + "\n"
		if i > 0 || out != "" {
			out += "\n"
		}
		out += "=== " + name + "\n" + toml
		for _, daemon := range os.Args[2:] {
			version, program, _ := strings.Cut(daemon, "=")
			out += "@@@ " + version + " " + run(program, decode(toml)) + "\n"
		}
		out += "@@@ unread-old " + unreadOld(decode(toml)) + "\n"
		out += "@@@ unread-new " + unreadNew(decode(toml))
	}
	check(os.WriteFile(path, []byte(out+"\n"), 0o644))
}

// decode lets a case hold bytes that a text file should not: \x00 and \r are written as ␀ and ␍.
func decode(text string) string {
	return strings.NewReplacer("␀", "\x00", "␍", "\r").Replace(text)
}

func run(program, toml string) string {
	dir, err := os.MkdirTemp("", "record")
	check(err)
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "buildkitd.toml")
	check(os.WriteFile(file, []byte(toml), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// No worker at all: a configuration that loads ends with "no worker found".
	command := exec.CommandContext(ctx, program, "--config", file, "--root", dir+"/root", "--addr", "unix://"+dir+"/s",
		"--oci-worker=false", "--containerd-worker=false")
	output, _ := command.CombinedOutput()
	for _, line := range strings.Split(string(output), "\n") {
		if strings.HasPrefix(line, "buildkitd: no worker found") {
			return "accepted"
		}
		if strings.HasPrefix(line, "buildkitd: ") || strings.HasPrefix(line, "panic: ") {
			return "refused " + strings.ReplaceAll(line, dir, "DIR")
		}
	}
	return "unclear " + strings.ReplaceAll(strings.TrimSpace(string(output)), "\n", " / ")
}

func readOld(text string, strict bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var c config.Config
	return v1.NewDecoder(strings.NewReader(text)).Strict(strict).Decode(&c)
}

func readNew(text string, strict bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var c config.Config
	decoder := v2.NewDecoder(bytes.NewReader([]byte(text)))
	if strict {
		decoder = decoder.DisallowUnknownFields()
	}
	return decoder.Decode(&c)
}

func unreadOld(text string) string {
	if readOld(text, false) != nil {
		return ""
	}
	if err := readOld(text, true); err != nil {
		return strings.TrimPrefix(err.Error(), "undecoded keys: ")
	}
	return ""
}

func unreadNew(text string) string {
	if readNew(text, false) != nil {
		return ""
	}
	var missing *v2.StrictMissingError
	if err := readNew(text, true); errors.As(err, &missing) {
		keys := map[string]bool{}
		for _, e := range missing.Errors {
			keys[strings.Join(e.Key(), ".")] = true
		}
		list := make([]string, 0, len(keys))
		for key := range keys {
			list = append(list, fmt.Sprintf("%q", key))
		}
		sort.Strings(list)
		return "[" + strings.Join(list, " ") + "]"
	}
	return ""
}

func oracle() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var text string
		check(json.Unmarshal(in.Bytes(), &text))
		answer := func(err error) string {
			if err == nil {
				return "accepted"
			}
			return "refused " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		line, err := json.Marshal([]string{answer(readOld(text, false)), answer(readNew(text, false)), unreadOld(text), unreadNew(text)})
		check(err)
		fmt.Println(string(line))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
