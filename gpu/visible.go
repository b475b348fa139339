package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// Visible tells which devices a CUDA_VISIBLE_DEVICES value names, in its order: entry LOCAL_RANK of the result is the
// device that torch.cuda.set_device(LOCAL_RANK) picks. An entry is a UUID, an unambiguous beginning of one, or a number
// in PCI bus order (CUDA counts so with CUDA_DEVICE_ORDER=PCI_BUS_ID; its default order may differ where models are
// mixed). As in CUDA an empty value names none and -1 ends the list. An entry that names nothing, more than one
// device, or one named before is an error, with the devices before it. An unset variable, which means every device, is for the
// caller to tell apart.
func Visible(devices []Device, value string) ([]Device, error) {
	var seen []Device
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	for _, entry := range strings.Split(value, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "-1" {
			return seen, nil
		}
		found, err := named(devices, entry)
		if err != nil {
			return seen, fmt.Errorf("reading visible devices %q: %w", clean(value, 200), err)
		}
		for _, before := range seen {
			if before.UUID == found.UUID && before.Index == found.Index {
				return seen, fmt.Errorf("reading visible devices %q: entry %q names %s a second time", clean(value, 200), entry, found.UUID)
			}
		}
		seen = append(seen, found)
	}
	return seen, nil
}

// Own tells which of the visible devices belong to the worker with this local rank, when they are dealt evenly to
// localWorldSize workers: entries i*G/W to (i+1)*G/W-1.
func Own(visible []Device, localRank, localWorldSize int) ([]Device, error) {
	if localWorldSize < 1 || localRank < 0 || localRank >= localWorldSize {
		return nil, fmt.Errorf("local rank %d of %d workers does not exist", localRank, localWorldSize)
	}
	n := len(visible)
	return visible[localRank*n/localWorldSize : (localRank+1)*n/localWorldSize], nil
}

// named finds the one device that an entry means.
func named(devices []Device, entry string) (Device, error) {
	if index, err := strconv.Atoi(entry); err == nil {
		return numbered(devices, index)
	}
	if !strings.HasPrefix(entry, "GPU-") {
		return Device{}, fmt.Errorf("entry %q is neither a number nor a GPU UUID", clean(entry, 80))
	}
	var found []Device
	for _, d := range devices {
		if d.UUID == entry {
			return d, nil
		}
		if strings.HasPrefix(d.UUID, entry) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return Device{}, fmt.Errorf("no device has UUID %s", clean(entry, 80))
	case 1:
		return found[0], nil
	}
	return Device{}, fmt.Errorf("%s is the beginning of %d UUIDs", clean(entry, 80), len(found))
}

// numbered prefers a device that is well: one that was lost keeps its last number, which the driver may have dealt
// to another since.
func numbered(devices []Device, index int) (Device, error) {
	var lost *Device
	for i, d := range devices {
		if d.Index != index {
			continue
		}
		if d.Healthy {
			return d, nil
		}
		if lost == nil {
			lost = &devices[i]
		}
	}
	if lost != nil {
		return *lost, nil
	}
	return Device{}, fmt.Errorf("no device has number %d", index)
}
