"""What phones say about a workout, in both senders' words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit import units
from biometrics.vendors.healthkit.mapping import Quantity
from biometrics.vendors.healthkit.points import Points
from biometrics.vendors.healthkit.units import Refusal, convert
from biometrics.vendors.records import Problem, ReadingValue, Series
from biometrics.vendors.times import Moment

_WORKOUT = "workout"
# Recovery is measured after the end.
_MARGIN = timedelta(hours=2)
LONGEST_WORKOUT = timedelta(days=31)

# Values of the Open Wearables SDK by `type`. Samsung's "calories" are those of the
# exercise, like Apple's active energy.
SDK_VALUES: dict[str, Quantity] = {
    "duration": Quantity(Metric.DURATION, units.SECONDS),
    "activeEnergyBurned": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY),
    "calories": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY),
    "basalEnergyBurned": Quantity(Metric.BASAL_ENERGY, units.ENERGY),
    "totalCalories": Quantity(Metric.TOTAL_ENERGY, units.ENERGY),
    "distance": Quantity(Metric.DISTANCE, units.METRES),
    "stepCount": Quantity(Metric.STEPS, units.COUNT),
    "averageHeartRate": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE, _WORKOUT),
    "meanHeartRate": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE, _WORKOUT),
    "minHeartRate": Quantity(Metric.HEART_RATE_MIN, units.RATE, _WORKOUT),
    "maxHeartRate": Quantity(Metric.HEART_RATE_MAX, units.RATE, _WORKOUT),
    "elevationAscended": Quantity(Metric.ALTITUDE_GAIN, units.METRES),
    "altitudeGain": Quantity(Metric.ALTITUDE_GAIN, units.METRES),
    "averageMETs": Quantity(Metric.MET_AVERAGE, units.METABOLIC),
    "averageSpeed": Quantity(Metric.SPEED_AVERAGE, units.SPEED),
    "averageRunningSpeed": Quantity(Metric.SPEED_AVERAGE, units.SPEED),
    "meanSpeed": Quantity(Metric.SPEED_AVERAGE, units.SPEED),
    "maxSpeed": Quantity(Metric.SPEED_MAX, units.SPEED),
    "meanCadence": Quantity(Metric.CADENCE_AVERAGE, units.RATE),
    "maxCadence": Quantity(Metric.CADENCE_MAX, units.RATE),
    "averageRunningPower": Quantity(Metric.POWER_AVERAGE, units.WATTS),
    "vo2Max": Quantity(Metric.VO2_MAX, units.OXYGEN_UPTAKE),
}
# Weather, places and counters of strokes and laps: left out on purpose.
SDK_UNUSED = frozenset(
    {
        "altitudeLoss",
        "averageGroundContactTime",
        "averageRunningStrideLength",
        "averageVerticalOscillation",
        "elevationDescended",
        "indoorWorkout",
        "lapLength",
        "maxAltitude",
        "minAltitude",
        "swimmingLocationType",
        "swimmingStrokeCount",
        "totalDuration",
        "weatherHumidity",
        "weatherTemperature",
    }
)
SDK_SAMPLES: dict[str, Quantity] = {
    "heartRate": Quantity(Metric.HEART_RATE, units.RATE),
    "cadence": Quantity(Metric.CADENCE, units.RATE),
    "speed": Quantity(Metric.SPEED, units.SPEED),
    "power": Quantity(Metric.POWER, units.WATTS),
}

# Fields of Health Auto Export, {qty, units} each; the first that is there wins.
EXPORT_VALUES: dict[str, Quantity] = {
    "activeEnergyBurned": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY),
    "activeEnergy": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY),
    "totalEnergy": Quantity(Metric.TOTAL_ENERGY, units.ENERGY),
    "distance": Quantity(Metric.DISTANCE, units.METRES),
    "stepCount": Quantity(Metric.STEPS, units.COUNT),
    "flightsClimbed": Quantity(Metric.FLIGHTS_CLIMBED, units.COUNT),
    "elevationUp": Quantity(Metric.ALTITUDE_GAIN, units.METRES),
    "avgHeartRate": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE, _WORKOUT),
    "heartRate.avg": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE, _WORKOUT),
    "minHeartRate": Quantity(Metric.HEART_RATE_MIN, units.RATE, _WORKOUT),
    "heartRate.min": Quantity(Metric.HEART_RATE_MIN, units.RATE, _WORKOUT),
    "maxHeartRate": Quantity(Metric.HEART_RATE_MAX, units.RATE, _WORKOUT),
    "heartRate.max": Quantity(Metric.HEART_RATE_MAX, units.RATE, _WORKOUT),
    "intensity": Quantity(Metric.MET_AVERAGE, units.METABOLIC),
    "avgSpeed": Quantity(Metric.SPEED_AVERAGE, units.SPEED),
    "speed": Quantity(Metric.SPEED_AVERAGE, units.SPEED),
    "maxSpeed": Quantity(Metric.SPEED_MAX, units.SPEED),
    "stepCadence": Quantity(Metric.CADENCE_AVERAGE, units.RATE),
}
# Lists of Health Auto Export: points of {date, <key>, units?}, key by key.
EXPORT_SAMPLES: dict[str, dict[str, Quantity]] = {
    "heartRateData": {
        "qty": Quantity(Metric.HEART_RATE, units.RATE),
        "Min": Quantity(Metric.HEART_RATE_MIN, units.RATE),
        "Avg": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE),
        "Max": Quantity(Metric.HEART_RATE_MAX, units.RATE),
    },
    "heartRateRecovery": {
        "qty": Quantity(Metric.HEART_RATE, units.RATE, "recovery"),
        "Min": Quantity(Metric.HEART_RATE_MIN, units.RATE, "recovery"),
        "Avg": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE, "recovery"),
        "Max": Quantity(Metric.HEART_RATE_MAX, units.RATE, "recovery"),
    },
    "stepCount": {"qty": Quantity(Metric.STEPS, units.COUNT)},
    "activeEnergy": {"qty": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY)},
}


class Named(NamedTuple):
    """A value as sent, with the table row and the field it came from."""

    field: str
    quantity: Quantity
    value: object
    unit: object


def readings_of(
    named: Iterable[Named],
) -> tuple[tuple[ReadingValue, ...], tuple[Problem, ...]]:
    """Convert a workout's values; the first of a metric wins, a bad one is a problem."""
    readings: dict[tuple[Metric, str | None], ReadingValue] = {}
    problems: list[Problem] = []
    for one in named:
        metric, dimension, context = one.quantity
        number = convert(one.value, one.unit, metric=metric, dimension=dimension)
        if isinstance(number, Refusal):
            problems.append(Problem(field=one.field, reason=number.value))
            continue
        reading = ReadingValue(metric=metric, value=number, context=context)
        readings.setdefault((metric, context), reading)
    return tuple(readings.values()), tuple(problems)


class Track:
    """The samples of one workout, as one series for each metric and context."""

    def __init__(self, *, start: datetime, end: datetime) -> None:
        self._from, self._until = start - _MARGIN, end + _MARGIN
        self._points: dict[tuple[Metric, str | None], Points] = {}

    def add(
        self, quantity: Quantity, value: object, *, unit: object, at: Moment | None
    ) -> str | None:
        """Take a sample; return why not, None when it was taken."""
        metric, dimension, context = quantity
        number = convert(value, unit, metric=metric, dimension=dimension)
        if isinstance(number, Refusal):
            return number.value
        if at is None or not self._from <= at.at <= self._until:
            return "not a time of the workout"
        points = self._points.get((metric, context))
        if points is None:
            points = self._points[metric, context] = Points(at, at.at)
        points.add(at, at.at, number)
        return None

    def series(self) -> tuple[Series, ...]:
        """Return what was taken."""
        return tuple(
            points.series(metric, context=context)
            for (metric, context), points in self._points.items()
        )
