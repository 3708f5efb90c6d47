"""Parametric maps of ADC and lesion probability on the composed series, made on demand."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from marrowmap.data.sources import SourceSeries
from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.provenance import Maker, digest_of

ADC_SERIES_NUMBER, PROBABILITY_SERIES_NUMBER = 9107, 9108


def adc_map(frames: npt.NDArray[np.float32], series: SourceSeries, maker: Maker) -> hd.pm.ParametricMap:
    """Return the ADC in um2/s; frames `(slice, row, column)` of the composed series."""
    return _map(
        np.nan_to_num(frames),
        series,
        maker,
        name="adc",
        number=ADC_SERIES_NUMBER,
        quantity=codes.ADC,
        unit=codes.UM2_PER_S,
        window=(1250.0, 2500.0),
    )


def probability_map(
    frames: npt.NDArray[np.float32], series: SourceSeries, maker: Maker
) -> hd.pm.ParametricMap:
    """Return the lesion probability, 0 to 1; frames `(slice, row, column)` of the composed series."""
    return _map(
        frames,
        series,
        maker,
        name="probability",
        number=PROBABILITY_SERIES_NUMBER,
        quantity=codes.PROBABILITY,
        unit=standard.UCUM.NoUnits,
        window=(0.5, 1.0),
    )


def _map(
    frames: npt.NDArray[np.float32],
    series: SourceSeries,
    maker: Maker,
    *,
    name: str,
    number: int,
    quantity: Code,
    unit: Code,
    window: tuple[float, float],
) -> hd.pm.ParametricMap:
    """Return one quantity as a float map.

    Args:
        frames: `(slice, row, column)`.
        series: The composed series.
        maker: Who makes it.
        name: Word for UIDs and label.
        number: Series number.
        quantity: What the values are.
        unit: In which unit.
        window: Centre and width of the display.
    """
    values = np.ascontiguousarray(frames, dtype=np.float32)
    mapping = _mapping(values, name, quantity, unit)
    seed = digest_of([values.tobytes()])
    made = hd.pm.ParametricMap(
        source_images=list(series.datasets),
        pixel_array=values,
        series_instance_uid=maker.uid(name, seed, "series"),
        series_number=number,
        sop_instance_uid=maker.uid(name, seed),
        instance_number=1,
        **maker.device(),
        contains_recognizable_visual_features=True,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=window[0], window_width=window[1])],
        content_label=name.upper(),
        content_description="Research use only, unverified",
        series_description=f"marrowmap {quantity.meaning} (research)"[:64],
        specific_character_set="ISO_IR 192",
        contributing_equipment=[maker.contribution()],
    )
    made.BodyPartExamined = "WHOLEBODY"
    return made


def _mapping(
    values: npt.NDArray[np.float32], name: str, quantity: Code, unit: Code
) -> hd.pm.RealWorldValueMapping:
    """Say that stored values are the quantity itself."""
    low = float(values.min())
    return hd.pm.RealWorldValueMapping(
        lut_label=name.upper(),
        lut_explanation=quantity.meaning,
        unit=unit,
        value_range=(low, max(float(values.max()), low + 1e-6)),
        intercept=0.0,
        slope=1.0,
        quantity_definition=quantity,
    )
