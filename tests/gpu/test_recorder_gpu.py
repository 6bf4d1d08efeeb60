"""The user's recorder on a real GPU: no step waits for the device, and a wrong row there ends no process."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import sondage
from sondage.recorder.spool import RunFolder
from sondage.tagging.left_out import directions, left_out_odds
from sondage.torch import EpochBuffer, Indexed, look

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
N, C = 1000, 7


@pytest.fixture
def epoch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, C, generator=generator), torch.randint(0, C, (N,), generator=generator)


@pytest.mark.parametrize("rows_on", ["cpu", "cuda"])
@pytest.mark.parametrize("labels_given", [True, False])
def test_no_step_waits_and_the_numbers_are_those_of_the_cpu(epoch, tmp_path, rows_on, labels_given):
    logits, labels = epoch
    channels = ("loss", "margin", "predicted", "norm", "count")
    run = sondage.init(
        dataset="d", run="r", labels=labels, channels=channels, mode="offline", spool=tmp_path
    )  # fmt: skip
    on_device = (logits.cuda(), labels.cuda(), logits.norm(dim=1).cuda())
    parts = torch.randperm(N, generator=torch.Generator().manual_seed(1)).split(10)
    batches = [
        (part.to(rows_on), *(values[part.cuda()] for values in on_device)) for part in (parts[0], *parts)
    ]  # fmt: skip
    # The first batch makes the buffer; from then on nothing may wait.
    for number, (rows, z, y, norm) in enumerate(batches):
        torch.cuda.set_sync_debug_mode("error" if number else "default")
        try:
            run.log(rows=rows, logits=z, labels=y if labels_given else None, norm=norm)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    run.end_epoch()
    run.finish()
    found = RunFolder(next(tmp_path.iterdir()), 0).read_epoch(0).channels
    expected = functional.cross_entropy(logits, labels, reduction="none").numpy()
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["norm"], logits.norm(dim=1), rtol=1e-6)
    assert found["predicted"].tolist() == logits.argmax(1).tolist()
    assert found["count"].sum() == N + 10


@pytest.mark.parametrize(("row", "label"), [(N, 0), (-1, 0), (0, C), (0, -100)])
def test_what_is_out_of_range_is_said_at_the_end_of_the_epoch(row, label):
    buffer = EpochBuffer(N, C, "cuda")
    row, label = torch.tensor([row], device="cuda"), torch.tensor([label], device="cuda")
    buffer.log(row, torch.zeros(1, C, device="cuda"), label)
    with pytest.raises(sondage.InvalidInput, match="out of range"):
        buffer.flush()
    buffer.log(row.clamp(0, 1), torch.zeros(1, C, device="cuda"), label.clamp(0, 1))
    assert np.isfinite(buffer.flush()["loss"]).sum() == 1, "the device and the buffer are as before"


def test_a_look_leaves_the_device_as_it_was_and_says_what_the_cpu_says(epoch, tmp_path):
    (values, labels), device = epoch, "cuda"
    run = sondage.init(
        dataset="d", run="r", labels=labels, num_epochs=1, channels=("loss", "label_odds"), mode="offline",
        spool=tmp_path,
    )  # fmt: skip
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(C, 200), nn.ReLU(), nn.Linear(200, C)).to(device)
    torch.manual_seed(3)
    expected = model(values.to(device))
    torch.manual_seed(3)
    look(run, model, DataLoader(Indexed(TensorDataset(values, labels)), batch_size=128, shuffle=True))
    assert torch.equal(model(values.to(device)), expected), "generators and modes are what they were"
    run.log(rows=torch.arange(N, device=device), loss=torch.zeros(N, device=device))
    run.end_epoch()
    run.finish()
    found = RunFolder(next(tmp_path.glob("d*r*")), 0).read_epoch(0).channels["label_odds"]
    hidden = model[:3].cpu().eval()(values).detach().numpy() @ directions(200, 0)
    np.testing.assert_allclose(
        found, left_out_odds(hidden, labels.numpy(), np.ones(N, bool)), rtol=0.02, atol=0.05
    )
