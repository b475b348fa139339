package kube

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// PodDevice says that a pod of this node was given a device.
type PodDevice struct{ Namespace, Pod, ID string }

// PodResources asks a node's kubelet which pod has which device: its pod resources API (v1), of which one call and four
// messages are needed. They are spoken here by hand: gRPC would be another ten packages in every process of ours.
type PodResources struct{ client *http.Client }

// NewPodResources speaks to the kubelet at a socket, /var/lib/kubelet/pod-resources/kubelet.sock. Nothing is asked yet.
func NewPodResources(socket string) *PodResources {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &PodResources{client: &http.Client{Timeout: requestPatience, Transport: &http.Transport{Protocols: protocols, MaxIdleConns: 1,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}}}
}

// maxPodResources bounds what a kubelet may say.
const maxPodResources = 16 << 20

// Devices are the devices of NVIDIA's plugin that pods of the node have, as the kubelet tells them.
func (p *PodResources) Devices(ctx context.Context) ([]PodDevice, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://kubelet/v1.PodResourcesLister/List", bytes.NewReader(make([]byte, 5)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	answer, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the kubelet who has which device: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPodResources))
	if err != nil {
		return nil, fmt.Errorf("asking the kubelet who has which device: %w", err)
	}
	status := answer.Trailer.Get("Grpc-Status")
	if status == "" { // an answer without a message has it in front
		status = answer.Header.Get("Grpc-Status")
	}
	if answer.StatusCode != http.StatusOK || status != "0" {
		return nil, fmt.Errorf("the kubelet does not say who has which device: %s, gRPC status %q %s", answer.Status, status,
			answer.Trailer.Get("Grpc-Message")+answer.Header.Get("Grpc-Message"))
	}
	if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:5])) != len(body)-5 {
		return nil, errors.New("the kubelet's answer is no whole message")
	}
	return podDevices(body[5:])
}

// podDevices reads a ListPodResourcesResponse. A device that is shared in time has a number after its id, "GPU-...::2".
func podDevices(message []byte) ([]PodDevice, error) {
	var list []PodDevice
	err := fields(message, func(number uint64, pod []byte) error {
		if number != 1 { // pod_resources
			return nil
		}
		var of PodDevice
		var ids []string
		err := fields(pod, func(number uint64, value []byte) error {
			switch number {
			case 1:
				of.Pod = string(value)
			case 2:
				of.Namespace = string(value)
			case 3: // containers
				return fields(value, func(number uint64, value []byte) error {
					if number != 2 { // devices
						return nil
					}
					resource, these := "", []string(nil)
					err := fields(value, func(number uint64, value []byte) error {
						switch number {
						case 1:
							resource = string(value)
						case 2:
							id, _, _ := strings.Cut(string(value), "::")
							these = append(these, id)
						}
						return nil
					})
					if strings.HasPrefix(resource, "nvidia.com/") {
						ids = append(ids, these...)
					}
					return err
				})
			}
			return nil
		})
		for _, id := range ids {
			list = append(list, PodDevice{of.Namespace, of.Pod, id})
		}
		return err
	})
	return list, err
}

// errMessage says that bytes are no message of protocol buffers.
var errMessage = errors.New("the kubelet's answer cannot be read")

// fields tells of each field of a message that has a length. Others are stepped over.
func fields(message []byte, tell func(number uint64, value []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return errMessage
		}
		message = message[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0: // a number
			if _, n = binary.Uvarint(message); n <= 0 {
				return errMessage
			}
			size = uint64(n)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			if size, n = binary.Uvarint(message); n <= 0 {
				return errMessage
			}
			message = message[n:]
		default:
			return errMessage
		}
		if size > uint64(len(message)) {
			return errMessage
		}
		if tag&7 == 2 {
			if err := tell(tag>>3, message[:size]); err != nil {
				return err
			}
		}
		message = message[size:]
	}
	return nil
}
