"""The image's files: what they promise, read without an engine; `make image-test` builds it."""

import ast
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


# --- Dockerfile --------------------------------------------------------------

#: Targets that are started, with what starts.
TARGETS = {"cpu": "replicate", "jupyter": "jupyter", "cuda": "replicate"}


def stages(text):
    """Stage -> its instructions, ``(name, rest)``; under None what comes before the first."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found, here = {None: []}, None
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        rest = " ".join(rest.split())
        if name == "FROM":
            base, _, here = rest.partition(" AS ")
            found[here] = []
            rest = base
        found[here].append((name, rest))
    return found


def faults(text):
    """What is wrong with a Dockerfile, one word each."""
    found = stages(text)
    wrong = set()

    def told(stage, name):
        return [rest for said, rest in found.get(stage, ()) if said == name]

    # The base is one release, of known bytes; other stages are built on it.
    (base,) = (rest for rest in told(None, "ARG") if rest.startswith("BASE="))
    release = r"BASE=docker\.io/library/python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}"
    if not re.fullmatch(release, base):
        wrong.add("base")
    for stage in filter(None, found):
        (origin,) = told(stage, "FROM")
        if origin != "${BASE}" and origin not in found:
            wrong.add("base")
    if list(found)[-1] is None or told(list(found)[-1], "FROM") != ["cpu"]:
        wrong.add("default")
    # All targets have one layer of packages, then one of their own, then the program's.
    if told("runtime", "COPY") != ["--from=packages /opt/replicate /opt/replicate"]:
        wrong.add("stages")
    for target, program in TARGETS.items():
        below = "runtime" if target == "cpu" else f"{target}-runtime"
        further = [] if target == "cpu" else [f"--from={target}-packages /further /opt/replicate"]
        if target != "cpu" and told(below, "COPY") != further:
            wrong.add("stages")
        # Nothing of the building stages but what is finished there.
        for stage in (target, f"{target}-program"):
            if told(stage, "FROM") != [below]:
                wrong.add("stages")
        copied = told(target, "COPY")
        if told(target, "RUN") or copied[:1] != [
            f"--from={target}-program /program /opt/replicate"
        ]:
            wrong.add("stages")
        if target != "jupyter" and len(copied) != 1:
            wrong.add("stages")
        user = told(target, "USER")
        if len(user) != 1 or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user[0]):
            wrong.add("user")
        if told(target, "ENTRYPOINT") != [f'["{program}"]']:
            wrong.add("entrypoint")
    for target in ("cpu", "cuda"):
        (command,) = told(target, "CMD") or ["[]"]
        words = ast.literal_eval(command)
        if words[:3] != ["run", "--preset", "sample"] or words[-2:] != ["--out", "/results/sample"]:
            wrong.add("command")
        if ("@cupy:0" in words) != (target == "cuda"):
            wrong.add("command")
    runs = [rest for stage in found for rest in told(stage, "RUN")]
    for command in (c.strip() for rest in runs for c in rest.split("&&")):
        words = shlex.split(re.sub(r"--mount=\S+|\w+=\S+ ", "", command))
        words[:1] = [word.rpartition("/")[2] for word in words[:1]]
        if words[:2] == ["pip", "install"] and not {"--require-hashes", "--no-index"} & set(words):
            wrong.add("hashes")
        if {"curl", "wget", "apt-get", "git"} & set(words):
            wrong.add("fetching")
    # What is downloaded is kept outside of the image, and nothing is dated by the build.
    for rest in runs:
        if "pip install" in rest and "--no-index" not in rest and "type=cache" not in rest:
            wrong.add("cache")
        if "pip install" in rest and "lister" not in rest and "--no-compile" not in rest:
            wrong.add("times")
    if not any(rest.startswith("SOURCE_DATE_EPOCH=") for rest in told(None, "ARG")):
        wrong.add("times")
    for stage in found:
        finished = any("finish.sh" in rest or "program.sh" in rest for rest in told(stage, "RUN"))
        if finished and told(stage, "ARG") != ["SOURCE_DATE_EPOCH"]:
            wrong.add("times")
    if not any("mkdir -m 1777 /data /results" in rest for rest in told("runtime", "RUN")):
        wrong.add("data")
    copied = " ".join(told("jupyter", "COPY"))
    if "notebooks /replication/notebooks" not in copied:
        wrong.add("notebooks")
    if sum("requirements-build.lock" in rest for rest in told("builder", "RUN")) != 1:
        wrong.add("chainer")
    labels = " ".join(told("runtime", "LABEL"))
    named = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
    if not {"title", "description", "licenses"} <= named:
        wrong.add("labels")
    # At run time nothing is written but /results and /tmp.
    environment = dict(word.split("=", 1) for word in " ".join(told("runtime", "ENV")).split())
    for name in ("HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "CUPY_CACHE_DIR"):
        if not re.match(r"/tmp(/|$)", environment.get(name, "")):
            wrong.add("writes")
    return wrong


def test_dockerfile():
    assert faults(read("Dockerfile")) == set()


@pytest.mark.parametrize(
    "fault, old, new",
    [
        ("base", r"@sha256:\w+", ""),
        ("base", r"python:3\.\d+\.\d+-slim", "python:slim"),
        ("base", r"FROM builder AS packages", "FROM python AS packages"),
        ("default", r"FROM cpu AS default", "FROM cuda AS default"),
        ("stages", r"FROM runtime AS cpu", "FROM builder AS cpu"),
        ("stages", r"--from=cpu-program", "--from=program"),
        ("stages", r"--from=cuda-packages", "--from=builder"),
        ("stages", r"COPY --from=packages .*", "COPY --from=builder /opt/replicate /opt/replicate"),
        ("cache", r" --mount=type=cache,target=/root/.cache/pip", ""),
        ("times", r"ARG SOURCE_DATE_EPOCH=\d+", ""),
        ("times", r"ARG SOURCE_DATE_EPOCH\n", ""),
        ("times", r"pip install --no-compile", "pip install"),
        ("data", r"/data /results", "/results"),
        ("notebooks", r"COPY --chown=1000:1000 notebooks .*", ""),
        ("user", r"USER 1000:1000", "USER 0:0"),
        ("user", r"USER 1000:1000\n", ""),
        ("user", r"USER 1000:1000", "USER root"),
        ("entrypoint", r'ENTRYPOINT \["replicate"\]', "ENTRYPOINT replicate"),
        ("command", r'"sample", "--seeds"', '"paper", "--seeds"'),
        ("command", r'"--device", "@cupy:0", ', ""),
        ("hashes", r"--require-hashes -r requirements\.lock", "-r requirements.lock"),
        ("hashes", r"--require-hashes -r requirements-sbom\.lock", "-r requirements-sbom.lock"),
        ("hashes", r"--no-index --no-deps", "--no-deps"),
        ("fetching", r"python3 -m venv /opt/replicate", "apt-get install gcc"),
        ("chainer", r"(?m)^.*pip install .*--require-hashes -r requirements-build\.lock.*\n", ""),
        ("labels", r'org\.opencontainers\.image\.licenses="MIT AND ISC"', 'licence="MIT"'),
        ("writes", r"NUMBA_CACHE_DIR=/tmp/numba", "NUMBA_CACHE_DIR=/opt/numba"),
        ("writes", r"HOME=/tmp \\\\?\n", "HOME=/home/replicate \\\n"),
    ],
)
def test_a_worse_dockerfile_is_noticed(fault, old, new):
    """Twin: each promise broken in a copy."""
    text = read("Dockerfile")
    worse = re.sub(old, lambda match: new, text)
    assert worse != text
    assert fault in faults(worse)


def left_out(dockerfile, ignored):
    """Sources of COPY that .dockerignore keeps out of the build; all of them if it lets all in."""
    rules = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    sources = set()
    for name, rest in (said for stage in stages(dockerfile).values() for said in stage):
        if name == "COPY" and not rest.startswith("--from"):
            sources |= {word for word in rest.split()[:-1] if not word.startswith("--")}
    if rules[0] != "*" or "**/__pycache__" not in rules:
        return sources
    return {s for s in sources if not any(Path(s).match(rule) for rule in let_in)}


def test_what_is_copied_is_let_in_and_nothing_else():
    dockerfile, ignored = read("Dockerfile"), read(".dockerignore")
    assert left_out(dockerfile, ignored) == set()
    assert left_out(dockerfile, ignored.replace("!replicate\n", "")) == {"replicate"}
    assert left_out(dockerfile, ignored.replace("*\n", "", 1)) != set()
    for name in stages(dockerfile).values():
        for said, rest in name:
            if said == "COPY" and not rest.startswith("--from"):
                words = [word for word in rest.split()[:-1] if not word.startswith("--")]
                assert all(list(REPOSITORY.glob(word)) for word in words)


# --- compose -----------------------------------------------------------------


def compose_faults(text, dockerfile):
    """What is wrong with a compose file, one word each."""
    services = yaml.safe_load(text)["services"]
    wrong = set()
    for service in services.values():
        if service["build"]["target"] not in stages(dockerfile):
            wrong.add("target")
        if not re.fullmatch(r"\$\{HOST_USER:-[1-9]\d*:[1-9]\d*\}", service.get("user", "")):
            wrong.add("user")
        for port in service.get("ports", ()):
            if not str(port).startswith("127.0.0.1:"):
                wrong.add("port")
    sample = services["sample"]
    if sample.get("network_mode") != "none":
        wrong.add("network")
    if not sample.get("read_only") or sample.get("tmpfs") != ["/tmp"]:
        wrong.add("read-only")
    if sample["volumes"] != ["./results:/results"]:
        wrong.add("volumes")
    return wrong


def test_compose():
    assert compose_faults(read("compose.yaml"), read("Dockerfile")) == set()


@pytest.mark.parametrize(
    "fault, old, new",
    [
        ("target", "target: jupyter", "target: notebooks"),
        ("user", 'user: "${HOST_USER:-1000:1000}"', 'user: "0:0"'),
        ("port", "127.0.0.1:8888:8888", "8888:8888"),
        ("network", "network_mode: none", "network_mode: host"),
        ("read-only", "read_only: true", "read_only: false"),
        ("volumes", "./results:/results", "/:/results"),
    ],
)
def test_a_worse_compose_file_is_noticed(fault, old, new):
    text = read("compose.yaml")
    assert old in text
    assert fault in compose_faults(text.replace(old, new), read("Dockerfile"))


# --- scripts -----------------------------------------------------------------


def build(target, path=None, **environment):
    return subprocess.run(
        [shutil.which("sh"), "docker/image.sh", target],
        cwd=REPOSITORY,
        env={"PATH": path or "/usr/local/bin:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_the_engine_is_asked_for(tmp_path):
    """A stand-in that says its arguments; secrets are files of this host, removed at the end."""
    options = {"ENGINE": "echo", "IMAGE": "ours", "BUILD_OPTIONS": "--quiet", "SOURCE": "our:place"}
    asked = build("cuda", TMPDIR=str(tmp_path), **options)
    assert asked.returncode == 0, asked.stderr
    first, last = asked.stdout.splitlines()
    (epoch,) = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", read("Dockerfile"), re.MULTILINE)
    begins = (
        f"build --quiet --timestamp {epoch} --target cuda --file Dockerfile --secret id=pip.conf,"
    )
    assert first.startswith(begins)
    (version,) = re.findall(r'__version__ = "(.+)"', read("replicate/__init__.py"))
    label = "--label org.opencontainers.image"
    assert f" --build-arg SOURCE_DATE_EPOCH={epoch} {label}.version={version} " in first
    assert f" {label}.source=our:place " in first
    if shutil.which("git") and (REPOSITORY / ".git").exists():
        assert re.search(rf" {label}\.revision=[0-9a-f]{{40}}(-changed)? ", first)
    assert first.endswith(f" --tag ours:{version}-cuda --tag ours:latest-cuda .")
    assert last == f"image: ours:{version}-cuda"
    assert list(tmp_path.iterdir()) == []


def test_without_an_engine_one_clear_line(tmp_path):
    for name in ("dirname", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name))
    told = build("cpu", path=str(tmp_path))
    assert told.returncode == 2 and told.stdout == ""
    assert re.fullmatch(r"no docker, podman or buildah here; install one, .+\n", told.stderr)


# --- lock files --------------------------------------------------------------


def wanted():
    """What setup.py asks for: ``""`` and extras -> requirements."""
    (call,) = (
        node.value
        for node in ast.parse(read("setup.py")).body
        if isinstance(node, ast.Expr) and getattr(node.value, "func", None) is not None
    )
    said = {word.arg: word.value for word in call.keywords}
    extras = ast.literal_eval(said["extras_require"])
    return {"": ast.literal_eval(said["install_requires"]), **extras}


def locked(text):
    """Name -> set of (version, marker) of a lock file, and names without a hash."""
    found, bare = {}, set()
    entries = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(str.strip, entries.splitlines()):
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        parsed = Requirement(requirement)
        (pin,) = parsed.specifier
        assert pin.operator == "==", requirement
        found.setdefault(parsed.name, set()).add((pin.version, str(parsed.marker)))
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes):
            bare.add(parsed.name)
    return found, bare


LOCKS = {
    "requirements.lock": [""],
    "requirements-dev.lock": ["", "lint", "notebooks", "test"],
    "requirements-docs.lock": ["", "docs"],
    "requirements-jupyter.lock": ["", "notebooks"],
    "requirements-cuda.lock": [""],
}
#: Locks of tools, of which setup.py says nothing.
TOOLS = {
    "requirements-sbom.lock": {"cyclonedx-bom"},
    "requirements-parity.lock": {"captum", "statsmodels"},
    "requirements-torch.lock": {"torch", "nvidia-cublas"},
    "requirements-torch-cpu.lock": {"torch"},
}


def out_of_step(lock, extras, asked):
    """Requirements that a lock file does not meet, and names without a hash."""
    found, wrong = locked(lock)
    for text in (text for extra in extras for text in asked[extra]):
        requirement = Requirement(text)
        name = requirement.name.lower().replace("_", "-")
        versions = [version for version, _ in found.get(name, ())]
        if not versions or not all(requirement.specifier.contains(v) for v in versions):
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("name", LOCKS)
def test_locks_are_in_step_with_setup(name):
    """Every requirement is there, in a version that setup.py allows, with hashes."""
    text, asked = read(name), wanted()
    assert out_of_step(text, LOCKS[name], asked) == set()
    # Twins: a requirement more, a version too old, a hash lost.
    more = {**asked, "": [*asked[""], "attractors>=1"]}
    assert out_of_step(text, LOCKS[name], more) == {"attractors"}
    older = re.sub(r"^chainer==7\.8\.1", "chainer==7.8.0", text, flags=re.MULTILINE)
    assert out_of_step(older, LOCKS[name], asked) == {"chainer"}
    bare = re.sub(r"^(tomli-w==\S+)[^#]*?sha256:\w+\n(?=\S|\Z)", r"\1\n", text, flags=re.MULTILINE)
    assert bare != text and out_of_step(bare, LOCKS[name], asked) == {"tomli-w"}


@pytest.mark.parametrize("name", TOOLS)
def test_locks_of_tools(name):
    found, bare = locked(read(name))
    assert TOOLS[name] <= found.keys() and not bare


def test_locks_agree():
    """What several of them name has one version: tests, image and notebooks run the same."""
    dev, _ = locked(read("requirements-dev.lock"))
    for name in LOCKS.keys() - {"requirements-dev.lock"}:
        found, _ = locked(read(name))
        both = found.keys() & dev.keys()
        assert len(both) > 20
        assert {n for n in both if not {v for v, _ in found[n]} <= {v for v, _ in dev[n]}} == set()
    build_tools, bare = locked(read("requirements-build.lock"))
    (version,) = build_tools["setuptools"]
    assert not bare and int(version[0].split(".")[0]) < 74
